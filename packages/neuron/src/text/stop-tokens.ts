import { isRecord } from './json.js';
import type { Tokenizer } from './tokenizer/tokenizer.js';

/** Tokens that end a turn in the chat formats of published models. */
const turnEnds = ['<|im_end|>', '<|endoftext|>', '<|eot_id|>', '<|eom_id|>'] as const;

/** Where a model may name the tokens that end its output. */
export interface StopTokenSources {
  readonly tokenizer: Tokenizer;
  /** Parsed generation_config.json and config.json; undefined or null where the model has none. */
  readonly generationConfig: unknown;
  readonly modelConfig: unknown;
}

/** Ids that end generation: every source's end tokens together, and the known turn ends that the vocabulary has. */
export function stopTokenIds({ tokenizer, generationConfig, modelConfig }: StopTokenSources): ReadonlySet<number> {
  const ids = new Set<number>();
  const textConfig = isRecord(modelConfig) ? modelConfig['text_config'] : undefined;
  for (const config of [generationConfig, modelConfig, textConfig]) {
    const value = isRecord(config) ? config['eos_token_id'] : undefined;
    for (const id of Array.isArray(value) ? value : [value]) if (Number.isSafeInteger(id)) ids.add(id as number);
  }
  if (tokenizer.eosId !== null) ids.add(tokenizer.eosId);
  for (const token of turnEnds) {
    const id = tokenizer.idOf(token);
    if (id !== undefined && tokenizer.addedIds.has(id)) ids.add(id);
  }
  return ids;
}
