import type { Architecture } from '@helexa/graph';
import { llama } from './llama.js';

/** Answers the hook `cortex:architectures`. */
export default async function architectures(): Promise<readonly Architecture[]> {
  return [llama];
}
