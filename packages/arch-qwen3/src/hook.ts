import type { Architecture } from '@helexa/graph';
import { qwen3 } from './qwen3.js';

/** Answers the hook `cortex:architectures`. */
export default async function architectures(): Promise<readonly Architecture[]> {
  return [qwen3];
}
