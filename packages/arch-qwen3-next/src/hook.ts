import type { Architecture } from '@helexa/graph';
import { architectures as served } from './index.js';

/** Answers the hook `cortex:architectures`. */
export default async function architectures(): Promise<readonly Architecture[]> {
  return served;
}
