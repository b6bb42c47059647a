import type { ModelEntry, ModelList } from '@helexa/core';
import { sendJson } from '../http/respond.js';
import type { Handler } from '../http/router.js';
import { dialectOf } from '../translate/dialect.js';

const anthropicModel = (entry: ModelEntry) => ({
  type: 'model' as const,
  id: entry.id,
  display_name: entry.id,
  created_at: new Date(entry.created * 1000).toISOString(),
  ...(entry.limit ? { max_input_tokens: entry.limit.input ?? entry.limit.context } : {}),
  ...(entry.limit?.output === undefined ? {} : { max_tokens: entry.limit.output }),
});

/** The same models in the shape that clients of Anthropic read. */
const anthropicList = ({ data }: ModelList) => ({
  data: data.map(anthropicModel),
  has_more: false,
  first_id: data[0]?.id ?? null,
  last_id: data.at(-1)?.id ?? null,
});

/** `GET /v1/models`, in the caller's dialect. */
export const modelsHandler =
  (list: () => ModelList): Handler =>
  ({ request, response, path }) => {
    if (dialectOf(path, request.headers) === 'anthropic') {
      sendJson(response, 200, anthropicList(list()));
      return;
    }
    // Codex names its version here, and cannot read a list without a catalogue of its own beside it; it takes an empty one.
    const isCodex = new URLSearchParams(request.url?.split('?', 2)[1]).has('client_version');
    sendJson(response, 200, { ...list(), ...(isCodex ? { models: [] } : {}) });
  };
