import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { neuronHealth } from '@helexa/core';
import type { ProcessSample, ServeOrder } from './serve.js';
import { makeModelsFolder } from './served-model.js';

/** What a neuron holds for its requests. */
export interface Holdings {
  readonly running: number;
  readonly waiting: number;
  readonly pagesUsed: number;
  readonly pagesReserved: number;
  readonly pagesAvailable: number;
}

/** A neuron in a process of its own, so that its memory is its own too. Owner: whoever started it. */
export class SoakedNeuron {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #folder: { dispose(): void };

  private constructor(url: string, child: ChildProcess, folder: { dispose(): void }) {
    this.url = url;
    this.#child = child;
    this.#folder = folder;
  }

  static async start(order: Omit<ServeOrder, 'modelsFolder'>): Promise<SoakedNeuron> {
    const folder = makeModelsFolder();
    const child = fork(
      fileURLToPath(new URL('serve.js', import.meta.url)),
      [JSON.stringify({ ...order, modelsFolder: folder.path } satisfies ServeOrder)],
      { execArgv: ['--expose-gc', '--enable-source-maps'] },
    );
    const [{ url }] = (await once(child, 'message')) as [{ url: string }];
    return new SoakedNeuron(url, child, folder);
  }

  /** Its time and its memory, right after a collection of garbage. */
  async sample(): Promise<ProcessSample> {
    const answer = once(this.#child, 'message') as Promise<[ProcessSample]>;
    this.#child.send('sample');
    return (await answer)[0];
  }

  async holdings(): Promise<Holdings> {
    const { models } = neuronHealth.parse(await (await fetch(`${this.url}/health`)).json());
    const model = models![0]! as unknown as {
      in_flight: number;
      queue_depth: number;
      kv_pages: { free: number; cached: number; used: number; reserved: number };
    };
    const { free, cached, used, reserved } = model.kv_pages;
    return {
      running: model.in_flight,
      waiting: model.queue_depth,
      pagesUsed: used,
      pagesReserved: reserved,
      pagesAvailable: free + cached - reserved,
    };
  }

  async close(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.send('close');
    await exit;
    this.#folder.dispose();
  }
}
