import type { Clock } from '@helexa/core';
import type { Backend } from '@helexa/graph';
import type { Logger } from 'pino';
import type { NamedDevice } from './control.js';

const refreshMs = 5000;

/** Keeps what the devices last said about themselves, so that no control route waits for one. Owner: the daemon. */
export class DevicePoll {
  readonly #backends: () => readonly Backend[];
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #known = new Map<string, readonly NamedDevice[]>();
  #cancel: () => void = () => {};
  #isStopped = false;

  constructor(backends: () => readonly Backend[], clock: Clock, log: Logger) {
    this.#backends = backends;
    this.#clock = clock;
    this.#log = log;
  }

  get known(): readonly NamedDevice[] {
    return [...this.#known.values()].flat();
  }

  /** Asks every device once, then again every few seconds. */
  async start(): Promise<void> {
    for (const backend of this.#backends()) {
      try {
        const devices = await backend.discover();
        this.#known.set(
          backend.name,
          devices.map((device) => ({ ...device, backend: backend.name })),
        );
      } catch (error) {
        // What was known before stays: a failed look is no news about the device.
        this.#log.warn({ backend: backend.name, err: error }, 'devices could not be asked');
      }
    }
    if (!this.#isStopped) this.#cancel = this.#clock.after(refreshMs, () => void this.start());
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }
}
