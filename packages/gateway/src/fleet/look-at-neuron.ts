import { epochHeader, type NeuronModel, neuronDiscovery, neuronHealth, neuronModels } from '@helexa/core';
import type { Dispatcher } from 'undici';
import { request } from 'undici';
import { z } from 'zod';
import type { Look, NodeState } from './fleet.js';
import type { LookAt } from './poller.js';

/** A neuron with thousands of models says less than this. */
const longestAnswerBytes = 8 << 20;

type Answer = { readonly value: unknown; readonly epoch?: string | undefined } | { readonly problem: string };

const getJson = async (dispatcher: Dispatcher, url: string, signal: AbortSignal): Promise<Answer> => {
  const { statusCode, headers, body } = await request(url, {
    dispatcher,
    signal,
    headers: { accept: 'application/json' },
  });
  if (statusCode !== 200) {
    await body.dump();
    return { problem: `it answered with status ${statusCode}` };
  }
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += (chunk as Buffer).length;
    if (length > longestAnswerBytes) {
      body.destroy();
      return { problem: `its answer is longer than ${longestAnswerBytes} bytes` };
    }
    chunks.push(chunk as Buffer);
  }
  try {
    return { value: JSON.parse(Buffer.concat(chunks).toString()), epoch: headers[epochHeader]?.toString() };
  } catch {
    return { problem: 'its answer is not JSON' };
  }
};

/** A route that may fail without the node being down. */
const optional = async <Value>(
  answer: Promise<Answer>,
  schema: { safeParse(value: unknown): { success: boolean; data?: Value } },
): Promise<Value | undefined> => {
  const got = await answer.catch((): Answer => ({ problem: 'the connection failed' }));
  return 'value' in got ? schema.safeParse(got.value).data : undefined;
};

/** What is read of the list of another make's server: several say how long a context may be, under different names. */
const foreignModel = z.looseObject({
  id: z.string().min(1),
  max_model_len: z.int().positive().nullish(),
  context_length: z.int().positive().nullish(),
  context_window: z.int().positive().nullish(),
});
const foreignModels = z.object({ data: z.array(foreignModel) });

const asLoaded = ({ id, ...said }: z.output<typeof foreignModel>): NeuronModel => {
  const context = said.max_model_len ?? said.context_length ?? said.context_window;
  return { id, status: 'loaded', ...(context ? { limit: { context } } : {}) };
};

/** Asks a server of another make, which answers for its list of models alone; what the configuration says goes before it. */
const lookAtForeign = async (dispatcher: Dispatcher, node: NodeState, signal: AbortSignal): Promise<Look> => {
  const answer = await getJson(dispatcher, `${node.endpoint}/v1/models`, signal);
  if (node.offers.length > 0) {
    // Some servers have no list: one that answers at all is there, unless it refuses the token or fails.
    const isThere = !('problem' in answer) || /\b(?:404|405)$/.test(answer.problem);
    return isThere ? { ok: true, models: node.offers } : { ok: false, reason: answer.problem };
  }
  if ('problem' in answer) return { ok: false, reason: answer.problem };
  const parsed = foreignModels.safeParse(answer.value);
  if (!parsed.success) return { ok: false, reason: 'its model list is not of the form of OpenAI' };
  return { ok: true, models: parsed.data.data.map(asLoaded) };
};

/** Asks a neuron over HTTP. Only `/models` decides whether it is healthy. */
export const lookAtNeuron =
  (dispatcher: Dispatcher): LookAt =>
  async (node: NodeState, signal: AbortSignal): Promise<Look> => {
    if (node.kind === 'openai') return await lookAtForeign(dispatcher, node, signal);
    const get = (path: string) => getJson(dispatcher, node.endpoint + path, signal);
    const [models, health, discovery] = await Promise.all([
      get('/models'),
      optional(get('/health'), neuronHealth),
      // Devices are not known from the start everywhere: it is asked until they are.
      node.discovery?.devices?.length ? undefined : optional(get('/discovery'), neuronDiscovery),
    ]);
    if ('problem' in models) return { ok: false, reason: models.problem };
    const parsed = neuronModels.safeParse(models.value);
    if (!parsed.success) return { ok: false, reason: 'its model list has another shape than this gateway knows' };
    return { ok: true, models: parsed.data, epoch: models.epoch, health, discovery };
  };
