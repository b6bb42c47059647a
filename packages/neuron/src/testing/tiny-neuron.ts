import { dirname } from 'node:path';
import { type NeuronConfig, neuronConfigSchema } from '@helexa/core';
import { type Backend, referenceBackend } from '@helexa/graph';
import { type NeuronOptions, type RunningNeuron, startNeuron } from '../daemon.js';
import { tinyArchitecture, tinyModelPath } from './tiny-architecture.js';

type EngineConfig = Partial<NeuronConfig['engine']>;

export interface TinyNeuronOptions extends Partial<Omit<NeuronOptions, 'config'>> {
  readonly config?: Omit<Partial<NeuronConfig>, 'engine'> & { readonly engine?: EngineConfig };
  /** Whether to wait until the tiny model is ready; true when absent. */
  readonly isLoaded?: boolean;
}

/** A whole neuron on a free port of the loopback address, with the tiny model on the reference backend. */
export async function startTinyNeuron(options: TinyNeuronOptions = {}): Promise<RunningNeuron> {
  const { config = {}, isLoaded = true, ...rest } = options;
  const backends: readonly Backend[] = options.backends ?? [referenceBackend()];
  const neuron = await startNeuron({
    architectures: [tinyArchitecture],
    ...rest,
    backends,
    config: neuronConfigSchema.parse({
      listen: '127.0.0.1:0',
      models_dir: [dirname(tinyModelPath)],
      drain_ms: 200,
      default_models: isLoaded ? [{ model_id: 'tiny' }] : [],
      ...config,
      // A slow machine is no reason to turn a test's request away.
      admission: { max_wait_secs: 3600, ...config.admission },
      engine: { max_rows: 64, max_sequences: 4, max_context: 512, kv_pages: 32, ...config.engine },
    }),
  });
  if (isLoaded) await neuron.loadModel('tiny');
  return neuron;
}

/** POSTs a JSON body. */
export function post(neuron: RunningNeuron, path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  return fetch(`${neuron.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...init,
  });
}

/** Reads a response that streams events: the data of each, in order. */
export async function readEvents(response: Response): Promise<string[]> {
  const text = await response.text();
  return text
    .split('\n\n')
    .filter((frame) => frame.startsWith('data: '))
    .map((frame) => frame.slice('data: '.length));
}
