import type { ServedModel } from '../model/served-model.js';
import { refuseUnless } from './sampling-request.js';

/** A text, texts, the ids of one, or lists of ids. */
export type TextInput = string | readonly string[] | readonly number[] | readonly (readonly number[])[];

/** The token ids of every text that a field holds; texts get the model's own begin and end tokens. */
export function readTexts(input: TextInput, param: string, model: ServedModel): number[][] {
  const isIds = (value: unknown): value is number[] => Array.isArray(value) && typeof value[0] === 'number';
  const list: readonly (string | readonly number[])[] =
    typeof input === 'string' || isIds(input) ? [input] : (input as readonly string[]);
  refuseUnless(list.length > 0, param, 'it is empty; at least one text is wanted');
  return list.map((each) => {
    const ids = typeof each === 'string' ? model.tokenizer.encode(each, { special: true }) : [...each];
    refuseUnless(ids.length > 0, param, 'it has no tokens; at least one is wanted');
    const bad = ids.find((id) => id >= model.facts.vocab);
    refuseUnless(bad === undefined, param, `${bad} is no token id of this model`);
    return ids;
  });
}
