import type { Architecture } from '@helexa/graph';
import { qwen3Next, qwen35, qwen35Moe } from './qwen3-next.js';

export { qwen3Next, qwen35, qwen35Moe } from './qwen3-next.js';

/** Architectures of this package. */
export const architectures: readonly Architecture[] = [qwen3Next, qwen35, qwen35Moe];
