import { type Clock, systemClock } from '@helexa/core';
import { getJson } from './gateway-client.js';
import { bytesInWords } from './table.js';

interface LoadingModel {
  readonly id?: unknown;
  readonly progress?: { readonly bytes?: unknown; readonly total_bytes?: unknown };
}

const lookMs = 1000;

/**
 * Looks now and then how far a neuron's load is and says so, in words; whoever began the watch ends it. What cannot be looked at
 * is not said: the load itself reports its failure.
 */
export function watchLoad(
  neuronUrl: string,
  id: string,
  say: (words: string) => void,
  clock: Clock = systemClock,
): () => void {
  let isStopped = false;
  let cancel = () => {};
  const look = async () => {
    try {
      const models = (await getJson('the neuron', neuronUrl, '/models')) as readonly LoadingModel[];
      const { progress } = models.find((model) => model.id === id) ?? {};
      if (!isStopped && typeof progress?.bytes === 'number' && typeof progress.total_bytes === 'number')
        say(`${bytesInWords(progress.bytes)} of ${bytesInWords(progress.total_bytes)}`);
    } finally {
      if (!isStopped) later();
    }
  };
  const later = () => {
    cancel = clock.after(lookMs, () => void look().catch(() => undefined));
  };
  later();
  return () => {
    isStopped = true;
    cancel();
  };
}
