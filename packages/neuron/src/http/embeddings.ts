import { CortexError, type EmbeddingRequest, type EmbeddingResponse, embeddingRequest } from '@helexa/core';
import { unreadRequest } from '../engine/unread-request.js';
import type { EmbeddingFacts, ServedModel } from '../model/served-model.js';
import { type Exchange, readBody, sendJson } from './exchange.js';
import { type InferenceContext, observed } from './generation-run.js';
import { principalOf } from './principal.js';
import { readTexts } from './read-texts.js';
import { refuseUnless, refuseUnsupported } from './sampling-request.js';

/** OpenAI's own bound. */
const maxTexts = 2048;

/** `POST /v1/embeddings`: one vector of unit length for each text, in order. */
export async function embeddings(exchange: Exchange, context: InferenceContext): Promise<void> {
  const body = await readBody(exchange, embeddingRequest, context.bodyLimitBytes);
  const model = context.modelOf(body.model);
  const { embedding } = model;
  if (!embedding) {
    const reason = `it generates text; a model with the capability 'embedding' is wanted`;
    throw new CortexError('wrong_modality', { model: model.id, reason });
  }
  const length = readLength(body, embedding);
  const principal = principalOf(exchange.request);
  model.engine.knock(principal, 1);
  const texts = readTexts(body.input, 'input', model);
  refuseUnsupported(texts.length > maxTexts, 'input', `${texts.length} texts`, `up to ${maxTexts} are`);
  const rows = await rowsOf(texts, { model, principal, exchange, context });
  const tokens = texts.reduce((sum, ids) => sum + ids.length, 0);
  const answer: EmbeddingResponse = {
    object: 'list',
    data: rows.map((row, index) => ({
      object: 'embedding',
      index,
      embedding: encode(unitVector(row.subarray(0, length)), body.encoding_format ?? 'float'),
    })),
    model: body.model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
  sendJson(exchange, 200, answer);
}

function readLength({ dimensions }: EmbeddingRequest, { width, dimensions: allowed }: EmbeddingFacts): number {
  if (dimensions === null || dimensions === undefined) return width;
  refuseUnless(
    allowed ? allowed.includes(dimensions) : dimensions >= 1 && dimensions <= width,
    'dimensions',
    `${dimensions}; ${allowed ? `one of ${allowed.join(', ')}` : `1 to ${width}`} is wanted`,
  );
  return dimensions;
}

interface EmbeddingRun {
  readonly model: ServedModel;
  readonly principal: string | null;
  readonly exchange: Exchange;
  readonly context: InferenceContext;
}

/** The row of each text's last token; as many texts at a time as the engine has places. The first failure ends the rest. */
async function rowsOf(
  texts: readonly (readonly number[])[],
  { model, principal, exchange, context }: EmbeddingRun,
): Promise<Float32Array[]> {
  const rows: Float32Array[] = [];
  const stop = new AbortController();
  const signal = AbortSignal.any([exchange.signal, stop.signal]);
  const pending = texts.entries();
  const work = async () => {
    for (const [index, prompt] of pending) {
      const generation = model.engine.generate(unreadRequest({ principal, prompt, maxTokens: 1, signal }));
      for await (const event of observed(generation, exchange, model, context)) {
        if (event.type === 'row') rows[index] = event.values;
      }
    }
  };
  const workers = Array.from({ length: Math.min(texts.length, model.engine.load.slots) }, work);
  try {
    await Promise.all(workers);
  } finally {
    stop.abort();
    await Promise.allSettled(workers);
  }
  return rows;
}

/** The same direction with length 1, summed in float64; a row of zeros has no direction and stays. */
function unitVector(row: Float32Array): Float32Array {
  const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
  return length === 0 ? row : row.map((value) => value / length);
}

function encode(vector: Float32Array, format: 'float' | 'base64'): number[] | string {
  if (format === 'float') return [...vector];
  const bytes = Buffer.alloc(vector.length * Float32Array.BYTES_PER_ELEMENT);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * Float32Array.BYTES_PER_ELEMENT);
  return bytes.toString('base64');
}
