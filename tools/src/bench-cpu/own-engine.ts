import { type BenchDriver, limitsFor, openBenchDriver } from '@helexa/cortex/bench';
import { createArchitectureRegistry, decodeTraffic } from '@helexa/graph';
import { type LoadedModel, loadModel } from '@helexa/neuron';
import { architectures } from '../shared/architectures.js';
import { openBackend } from '../shared/open-backend.js';

/** Our engine with one model, kept loaded while others run: its threads sleep between steps. Owner: who opened it. */
export interface OwnEngine {
  readonly driver: (batch: number) => BenchDriver;
  /** Bytes that a decode step must read with `context` tokens in each cache. */
  readonly stepBytes: (batch: number, context: number) => number;
  close(): Promise<void>;
}

export interface OwnEngineOptions {
  readonly model: string;
  readonly threads: number;
  readonly isa: string;
  /** Tokens of each sequence, and how many sequences. */
  readonly context: number;
  readonly batch: number;
}

export async function openOwnEngine({ model, threads, isa, context, batch }: OwnEngineOptions): Promise<OwnEngine> {
  const backend = await openBackend('cpu', isa);
  let loaded: LoadedModel | undefined;
  const close = async () => {
    await loaded?.dispose();
    await backend.dispose();
  };
  try {
    loaded = await loadModel({
      path: model,
      registry: createArchitectureRegistry(architectures),
      backend,
      ranks: 1,
      kvFormat: 'F16',
      limits: limitsFor({ prompt: context, generate: 0, batch, depth: 0 }),
      threads,
    });
  } catch (error) {
    await close();
    throw error;
  }
  const { programs } = loaded.compiled;
  const ready = loaded;
  return {
    driver: (sequences) => openBenchDriver(ready, sequences, () => process.hrtime.bigint()),
    stepBytes: (sequences, tokens) => {
      const { weightBytes, kvBytes, stateBytes } = decodeTraffic(programs, 'F16', sequences, tokens);
      return weightBytes + kvBytes + stateBytes;
    },
    close,
  };
}
