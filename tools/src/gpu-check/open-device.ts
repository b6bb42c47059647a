import type { Backend } from '@helexa/graph';
import { openBackend } from '../shared/open-backend.js';

/** What every stage needs to know. */
export interface StageOptions {
  /** Library of the kernels; null: the one that was built or shipped. */
  readonly library: string | null;
  /** Which conformance cases and rows of the table are wanted, by their names. */
  readonly filter: RegExp;
  /** Layers that models of the table have at most: fewer than published to try the script itself. */
  readonly layers: number;
}

/** The CUDA backend on this machine; throws `backend_unavailable` where there is no library, driver or device. */
export const openDevice = ({ library }: Pick<StageOptions, 'library'>): Promise<Backend> =>
  openBackend('cuda', 'auto', library ?? undefined);
