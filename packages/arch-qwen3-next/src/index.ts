import type { Architecture } from '@helexa/graph';

/** Architectures of this package: none yet (see README). */
export const architectures: readonly Architecture[] = [];
