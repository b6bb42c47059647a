import { llama } from '@helexa/arch-llama';
import { qwen3, qwen3Moe } from '@helexa/arch-qwen3';
import { architectures as hybrids } from '@helexa/arch-qwen3-next';
import type { Architecture } from '@helexa/graph';

/** Every architecture of this repository. */
export const architectures: readonly Architecture[] = [qwen3, qwen3Moe, llama, ...hybrids];
