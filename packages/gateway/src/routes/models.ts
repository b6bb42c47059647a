import { CortexError, type ModelEntry, type ModelList } from '@helexa/core';
import { sendJson } from '../http/respond.js';
import type { Exchange, Handler } from '../http/router.js';
import { isAllowed } from '../keys/key-ring.js';
import { dialectOf } from '../translate/dialect.js';

export interface ModelsOptions {
  readonly list: () => ModelList;
  /** The model that a name stands for. */
  readonly resolve: (name: string) => string;
}

const anthropicModel = (entry: ModelEntry) => ({
  type: 'model' as const,
  id: entry.id,
  display_name: entry.id,
  created_at: new Date(entry.created * 1000).toISOString(),
  ...(entry.limit ? { max_input_tokens: entry.limit.input ?? entry.limit.context } : {}),
  ...(entry.limit?.output === undefined ? {} : { max_tokens: entry.limit.output }),
});

/** The same models in the shape that clients of Anthropic read. */
const anthropicList = (data: readonly ModelEntry[]) => ({
  data: data.map(anthropicModel),
  has_more: false,
  first_id: data[0]?.id ?? null,
  last_id: data.at(-1)?.id ?? null,
});

/** The models that whoever asks may use. */
const visible = ({ list, resolve }: ModelsOptions, { principal }: Exchange): readonly ModelEntry[] =>
  list().data.filter(({ id }) => isAllowed(principal, id, resolve(id)));

/** `GET /v1/models`, in the caller's dialect. */
export const modelsHandler =
  (options: ModelsOptions): Handler =>
  (exchange) => {
    const { request, response, path } = exchange;
    const data = visible(options, exchange);
    if (dialectOf(path, request.headers) === 'anthropic') {
      sendJson(response, 200, anthropicList(data));
      return;
    }
    // Codex names its version here, and cannot read a list without a catalogue of its own beside it; it takes an empty one.
    const isCodex = new URLSearchParams(request.url?.split('?', 2)[1]).has('client_version');
    sendJson(response, 200, { object: 'list', data, ...(isCodex ? { models: [] } : {}) });
  };

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    // A percent sign without its digits is part of no id.
    return text;
  }
};

/** `GET /v1/models/{id}`: the slash of an id may be written as it is, or as `%2F`. A model beyond the key's scope is not there. */
export const modelHandler =
  (options: ModelsOptions): Handler =>
  (exchange) => {
    const { request, response, path } = exchange;
    const id = decoded(path.slice('/v1/models/'.length));
    const models = visible(options, exchange);
    const entry = models.find((model) => model.id === id);
    if (!entry) throw new CortexError('model_not_found', { model: id, available: models.map((model) => model.id) });
    sendJson(response, 200, dialectOf(path, request.headers) === 'anthropic' ? anthropicModel(entry) : entry);
  };
