import { type Clock, systemClock } from '@helexa/core';
import { getJson } from './gateway-client.js';
import { bytesInWords, durationInWords } from './table.js';

interface LoadingModel {
  readonly id?: unknown;
  readonly progress?: {
    readonly phase?: unknown;
    readonly bytes?: unknown;
    readonly total_bytes?: unknown;
    readonly bytes_per_second?: unknown;
    readonly eta_seconds?: unknown;
  };
}

const lookMs = 1000;

/** How far a load is: its phase, and of its bytes how many, how fast and how long they will take. */
export function progressInWords(progress: NonNullable<LoadingModel['progress']>): string {
  const { phase, bytes, total_bytes: total, bytes_per_second: rate, eta_seconds: eta } = progress;
  return [
    typeof phase === 'string' ? phase : '',
    typeof bytes === 'number' && typeof total === 'number' && total > 0
      ? `${bytesInWords(bytes)} of ${bytesInWords(total)}`
      : '',
    typeof rate === 'number' ? `${bytesInWords(rate)}/s` : '',
    typeof eta === 'number' ? `${durationInWords(eta)} left` : '',
  ]
    .filter((part) => part !== '')
    .join(', ');
}

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
      if (!isStopped && progress) say(progressInWords(progress));
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
