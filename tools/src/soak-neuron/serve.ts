/** The process that is soaked: one neuron, and answers about what it uses. Started with an IPC channel and `--expose-gc`. */
import { neuronConfigSchema } from '@helexa/core';
import { startNeuron } from '@helexa/neuron';
import { architectures } from '../shared/architectures.js';
import { openBackend } from '../shared/open-backend.js';
import { pacedBackend } from './paced-backend.js';
import { soakModel } from './served-model.js';

export interface ServeOrder {
  readonly modelsFolder: string;
  /** `null` computes nothing. */
  readonly device: string;
  readonly stepMs: number;
  readonly seats: number;
  readonly maxWaitSeconds: number;
}

export interface ProcessSample {
  /** Time on a processor since the start. */
  readonly cpuMs: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
}

const order = JSON.parse(process.argv[2] ?? '{}') as ServeOrder;
const neuron = await startNeuron({
  architectures,
  backends: [order.device === 'null' ? pacedBackend(order.stepMs) : await openBackend(order.device)],
  config: neuronConfigSchema.parse({
    listen: '127.0.0.1:0',
    models_dir: [order.modelsFolder],
    default_models: [{ model_id: soakModel }],
    threads: 1,
    admission: { max_wait_secs: order.maxWaitSeconds },
    engine: { max_rows: 128, max_sequences: order.seats, max_context: 512, kv_pages: 8 * order.seats },
  }),
});
await neuron.loadModel(soakModel);

process.on('message', (message) => {
  if (message === 'sample') {
    globalThis.gc?.();
    const { user, system } = process.cpuUsage();
    const { rss: rssBytes, heapUsed: heapBytes } = process.memoryUsage();
    process.send?.({ cpuMs: (user + system) / 1000, rssBytes, heapBytes } satisfies ProcessSample);
  } else if (message === 'close') {
    void neuron.close().then(() => process.disconnect());
  }
});
process.send?.({ url: neuron.url });
