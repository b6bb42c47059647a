import type { Architecture } from '@helexa/graph';
import { qwen2 } from './qwen2.js';

/** Answers the hook `cortex:architectures`. */
export default async function architectures(): Promise<readonly Architecture[]> {
  return [qwen2];
}
