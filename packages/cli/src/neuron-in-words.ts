import type { NeuronSummary } from '@helexa/neuron';
import { progressInWords } from './watch-load.js';

/** One line on what a neuron does, such as 'Serving 1 model; loading org/name: uploading, 1.0 GiB of 4.0 GiB'. */
export function neuronInWords({ serving, loading, failed }: NeuronSummary): string {
  const count = (models: number) => `${models} model${models === 1 ? '' : 's'}`;
  return [
    `Serving ${count(serving.length)}`,
    ...loading.map((job) => `loading ${job.model_id}: ${progressInWords(job)}`),
    ...(failed.length > 0 ? [`${count(failed.length)} failed: ${failed.join(', ')}`] : []),
  ].join('; ');
}
