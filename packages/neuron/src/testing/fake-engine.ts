import type { EngineEffects } from '../engine/effects.js';
import { Engine, type EngineOptions } from '../engine/engine.js';
import type { GenerationEvent } from '../engine/events.js';
import type { GenerationRequest, TextSink } from '../engine/generation.js';
import { greedySampling } from '../engine/unread-request.js';
import { fakeDevice } from './fake-device.js';

export const greedy = greedySampling;

/** Writes each token as its number and a space; `stop` is a token that acts as a stop string. */
export function numberSink(stop?: number): TextSink {
  return {
    reasoningTokens: 0,
    push: (token) =>
      token === stop
        ? { events: [], isStopped: true }
        : { events: [{ type: 'content', text: `${token} ` }], isStopped: false },
    end: () => [],
  };
}

/** Effects with a clock that counts its readings, so that no test depends on time. */
export function fakeEffects(overrides: Partial<EngineEffects> = {}): EngineEffects {
  let nowMs = 0;
  return {
    nowMs: () => nowMs++,
    after: () => () => {},
    randomSeed: () => 7n,
    yieldTurn: () => new Promise((resolve) => setImmediate(resolve)),
    onStep: () => {},
    onAdmitted: () => {},
    onRejected: () => {},
    onFailed: () => {},
    ...overrides,
  };
}

export function fakeEngine(overrides: Partial<EngineOptions> = {}): Engine {
  return new Engine({
    modelId: 'fake',
    device: fakeDevice(),
    reuse: 'shared',
    admission: { maxWaiting: 1000 },
    maxBufferedEvents: 64,
    stepTimeoutMs: 1000,
    effects: fakeEffects(),
    ...overrides,
  });
}

export function requestOf(prompt: readonly number[], overrides: Partial<GenerationRequest> = {}): GenerationRequest {
  return {
    prompt,
    maxTokens: 8,
    choices: 1,
    sampling: greedy,
    seed: null,
    stopTokens: new Set(),
    openSink: () => numberSink(),
    signal: new AbortController().signal,
    ...overrides,
  };
}

/** Reads a generation to its end: the text of each choice, and all events. */
export async function collect(
  generation: AsyncIterable<GenerationEvent>,
): Promise<{ texts: string[]; events: GenerationEvent[] }> {
  const texts: string[] = [];
  const events: GenerationEvent[] = [];
  for await (const event of generation) {
    events.push(event);
    if (event.type === 'text-delta') texts[event.choice] = (texts[event.choice] ?? '') + event.text;
  }
  return { texts, events };
}
