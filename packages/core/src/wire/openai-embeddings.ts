/** OpenAI embeddings: texts in, one vector of unit length for each. */
import { z } from 'zod';
import { tokenIds } from './openai-completions.js';

export const embeddingRequest = z.object({
  model: z.string().min(1),
  /** A text, texts, the ids of one, or lists of ids. */
  input: z.union([z.string(), z.array(z.string()), tokenIds, z.array(tokenIds)]),
  /** Absent: `float`. */
  encoding_format: z.enum(['float', 'base64']).nullish(),
  /** Length that vectors are cut to, before they are brought to unit length. */
  dimensions: z.int().nullish(),
  user: z.string().nullish(),
});

export const embeddingUsage = z.object({ prompt_tokens: z.int(), total_tokens: z.int() });

export const embeddingResponse = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({
      object: z.literal('embedding'),
      index: z.int(),
      /** Numbers, or with `base64` their bytes as little-endian float32. */
      embedding: z.union([z.array(z.number()), z.string()]),
    }),
  ),
  model: z.string(),
  usage: embeddingUsage,
});

export type EmbeddingRequest = z.output<typeof embeddingRequest>;
export type EmbeddingResponse = z.output<typeof embeddingResponse>;
