import { anthropicTranslator, responsesTranslator } from '../translate/stream-translator.js';

const base = { atMostOneCall: false, requestId: 'r-1' };
const echo = {
  model: 'm',
  instructions: null,
  max_output_tokens: null,
  metadata: {},
  parallel_tool_calls: true,
  temperature: null,
  tool_choice: 'auto',
  tools: [],
  top_p: null,
};

/** A translator of one answer of model `m` for clients of Anthropic. */
export const anthropic = (changes: Partial<Parameters<typeof anthropicTranslator>[0]> = {}) =>
  anthropicTranslator({ ...base, model: 'm', showsThinking: true, ...changes });

/** The same for clients of Responses; the request said nothing but the model. */
export const responses = (changes: Partial<Parameters<typeof responsesTranslator>[0]> = {}) =>
  responsesTranslator({ ...base, createdSeconds: 5, echo, ...changes });
