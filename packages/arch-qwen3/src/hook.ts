import type { Architecture } from '@helexa/graph';
import { qwen3 } from './qwen3.js';
import { qwen3Moe } from './qwen3-moe.js';

/** Answers the hook `cortex:architectures`. */
export default async function architectures(): Promise<readonly Architecture[]> {
  return [qwen3, qwen3Moe];
}
