import { CortexError } from '@helexa/core';
import type { ServedModel } from '../model/served-model.js';
import type { Tokenizer } from '../text/index.js';
import { fakeLimits } from './fake-device.js';
import { fakeEngine, numberSink } from './fake-engine.js';

const encoder = new TextEncoder();

/** A tokenizer whose tokens are bytes. */
export const byteTokenizer: Tokenizer = {
  vocabSize: 256,
  specialIds: new Set(),
  addedIds: new Set(),
  bosId: null,
  eosId: null,
  leadingSpaces: 0,
  encode: (text) => [...encoder.encode(text)],
  decode: (ids) => new TextDecoder().decode(new Uint8Array(ids)),
  bytesOf: (id) => (id < 256 ? new Uint8Array([id]) : new Uint8Array(0)),
  idOf: () => undefined,
  tokenOf: (id) => String.fromCharCode(id),
};

/** A served model on a fake device. */
export function fakeModel(id: string): ServedModel {
  const engine = fakeEngine({ modelId: id });
  return {
    id,
    engine,
    tokenizer: byteTokenizer,
    stopTokens: new Set(),
    samplingDefaults: {},
    facts: {
      architecture: 'fake',
      backend: 'fake',
      capabilities: ['text'],
      toolCalls: false,
      reasoning: null,
      vocab: fakeLimits.vocab,
      maxBias: fakeLimits.maxBias,
      maxTopLogprobs: fakeLimits.maxTopLogprobs,
      devices: [0],
      residentBytes: 0,
      kvBytesPerToken: 4,
      notes: [],
    },
    images: null,
    embedding: null,
    encodeChat: ({ messages }) => byteTokenizer.encode(JSON.stringify(messages), { special: false }),
    openSink: () => numberSink(),
    constrain: () => Promise.reject(new CortexError('internal_error', { reason: 'a fake model has no grammar' })),
    close: () => engine.close(),
  };
}
