import { type Clock, CortexError } from '@helexa/core';
import type { Backend } from '@helexa/graph';
import type { Logger } from 'pino';
import { chooseBackend } from './choose-backend.js';
import { freeMs, within } from './within.js';

export interface BackendPoolOptions {
  readonly backends: readonly Backend[];
  /** Makes a backend of this name anew; absent: a lost device stays lost. */
  readonly reopen?: ((name: string) => Backend) | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The backends of a neuron, of which one may be replaced when its device is lost. Owner: the daemon. */
export class BackendPool {
  readonly #options: BackendPoolOptions;
  #backends: readonly Backend[];

  constructor(options: BackendPoolOptions) {
    this.#options = options;
    this.#backends = options.backends;
  }

  get all(): readonly Backend[] {
    return this.#backends;
  }

  choose(device: string): Promise<Backend> {
    return chooseBackend(this.#backends, device);
  }

  /** Puts a new backend in place of one whose device is lost; the old one is left to itself when it does not let go in time. */
  async rebuild(name: string): Promise<void> {
    const { reopen } = this.#options;
    const old = this.#backends.find((backend) => backend.name === name);
    if (!old) throw new CortexError('backend_unavailable', { backend: name, reason: 'this neuron does not have it' });
    if (!reopen) return;
    await this.#end(old);
    const fresh = reopen(name);
    this.#backends = this.#backends.map((backend) => (backend === old ? fresh : backend));
  }

  /** Ends every backend, each within a bound. */
  async dispose(): Promise<void> {
    await Promise.all(this.#backends.map((backend) => this.#end(backend)));
  }

  async #end(backend: Backend): Promise<void> {
    const { clock, log } = this.#options;
    try {
      if ((await within(clock, freeMs, backend.dispose())) === 'late')
        log.error({ backend: backend.name }, 'backend is abandoned: its device does not let go');
    } catch (error) {
      log.error({ backend: backend.name, err: error }, 'backend did not close');
    }
  }
}
