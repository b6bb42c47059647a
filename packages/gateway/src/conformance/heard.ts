import type { NeuronAnswer } from '../testing/neuron-answer.js';

/** What a client has at the end of one answer, whatever its dialect calls it. */
export interface Heard {
  readonly text: string;
  readonly reasoning: string;
  /** Arguments as values: clients differ in how they keep them. */
  readonly calls: readonly { readonly id: string; readonly name: string; readonly input: unknown }[];
  readonly isCutByLength: boolean;
  /** Prompt and completion; undefined where the neuron did not say. */
  readonly tokens: readonly [number, number] | undefined;
}

/** What a client that loses nothing hears of an answer. */
export const heardOf = (answer: NeuronAnswer, idOf: (id: string) => string = (id) => id): Heard => ({
  text: answer.text.join(''),
  reasoning: answer.reasoning.join(''),
  calls: answer.calls.map(({ id, name, arguments: parts }) => ({
    id: idOf(id),
    name,
    input: JSON.parse(parts.join('')) as unknown,
  })),
  isCutByLength: answer.finish === 'length',
  tokens: answer.usage ? [answer.usage.prompt_tokens, answer.usage.completion_tokens] : undefined,
});
