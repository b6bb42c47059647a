import { CortexError } from '@helexa/core';
import { type Dispatcher, request } from 'undici';
import { z } from 'zod';
import type { NodeState } from '../fleet/fleet.js';
import type { Outcome, RouterEffects } from './effects.js';

/** A neuron says less than this about a load. */
const longestAnswerBytes = 1 << 20;

const answerSchema = z.looseObject({
  already: z.boolean().optional(),
  epoch: z.string().optional(),
  error: z
    .union([
      z.string(),
      z.looseObject({
        code: z.string().nullish(),
        kind: z.string().optional(),
        message: z.string().optional(),
        required_mb: z.number().optional(),
        epoch: z.string().optional(),
      }),
    ])
    .optional(),
});

/** Statuses that may be different the next time. */
const passing = new Set([408, 409, 425, 429]);
const memoryCodes = new Set(['insufficient_vram_for_load', 'model_does_not_fit', 'out_of_memory', 'insufficient_vram']);

const read = async (body: Dispatcher.ResponseData['body']): Promise<unknown> => {
  let text = '';
  for await (const chunk of body) {
    text += (chunk as Buffer).toString();
    if (text.length > longestAnswerBytes) {
      body.destroy();
      return undefined;
    }
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** What an answer to a load or an unload means. The neuron's own words may name its files: they stay in the log. */
export const outcomeOf = (
  node: string,
  model: string,
  status: number,
  body: unknown,
  epoch = '',
): Outcome & { readonly status: number } => {
  const parsed = answerSchema.safeParse(body);
  if (status >= 200 && status < 300)
    return { ok: true, status, already: parsed.data?.already === true, epoch: parsed.data?.epoch };
  const error = parsed.success ? parsed.data.error : undefined;
  const told = typeof error === 'string' ? error : (error?.message ?? '');
  if (/already loaded/i.test(told)) return { ok: true, status, already: true };
  const fields = typeof error === 'string' ? undefined : error;
  const code = fields?.kind ?? fields?.code ?? undefined;
  if (code === 'epoch_stale') {
    const error = new CortexError('epoch_stale', { want: epoch, have: fields?.epoch ?? '' });
    return { ok: false, status, error, isStale: true };
  }
  const named = code === undefined ? '' : ` (${code})`;
  const reason = `neuron '${node}' refused with status ${status}${named}`;
  const isMemory = code !== undefined && memoryCodes.has(code);
  const cause = { cause: told };
  if (status < 500 && !passing.has(status) && !isMemory) {
    return { ok: false, status, error: new CortexError('model_load_refused', { model, reason }, cause) };
  }
  const requiredMb = isMemory ? fields?.required_mb : undefined;
  return { ok: false, status, error: new CortexError('model_load_failed', { model, reason }, cause), requiredMb };
};

/** Asks neurons over HTTP. A load is answered when it is done, however long that takes: its job has the deadline. */
export const neuronEffects = (dispatcher: Dispatcher): Pick<RouterEffects, 'load' | 'unload'> => {
  const post = async (node: NodeState, model: string, path: string, body: object, signal: AbortSignal) => {
    const answer = await request(node.endpoint + path, {
      dispatcher,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...body, ...(node.epoch === undefined ? {} : { epoch: node.epoch }) }),
      headersTimeout: 0,
      bodyTimeout: 0,
      signal,
    });
    return outcomeOf(node.name, model, answer.statusCode, await read(answer.body), node.epoch);
  };
  return {
    load: async (node, { id, harness, quant, min_devices: ranks }, signal, devices) => {
      const wish = {
        model_id: id,
        ...(harness === undefined ? {} : { harness }),
        ...(quant === undefined ? {} : { quant }),
        ...(ranks > 1 ? { tensor_parallel: ranks } : {}),
      };
      if (devices === undefined) return await post(node, id, '/models/load', wish, signal);
      const outcome = await post(node, id, '/models/load', { ...wish, devices }, signal);
      // Somebody else has it loaded already, on other devices: those will do.
      return outcome.ok || outcome.isStale || outcome.status !== 409
        ? outcome
        : await post(node, id, '/models/load', wish, signal);
    },
    unload: async (node, model, signal) => {
      const outcome = await post(node, model, '/models/unload', { model_id: model }, signal);
      if (outcome.ok || outcome.status === 404) return { ok: true };
      return outcome.status === 409 && !outcome.isStale ? { ...outcome, isInUse: true } : outcome;
    },
  };
};
