import type { Clock } from '@helexa/core';
import type { Logger } from 'pino';
import { Notifier, type SendAssignments } from './notifier.js';

export interface ServiceOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly pid: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly send: SendAssignments;
  /** One line on what the daemon does now. */
  readonly status: () => string;
  /** Whether the daemon answers; without a yes the manager hears nothing, and ends the process in the end. */
  readonly isAlive: () => Promise<boolean>;
}

/** How often the status line is looked at. */
const statusMs = 2000;

/**
 * A daemon as a service of systemd: says when it is ready, what it does, that it is alive, and when it ends. Without a service
 * manager in the environment nothing is said and nothing runs. Owner: the command.
 */
export class SystemdService {
  readonly #options: ServiceOptions;
  readonly #notifier: Notifier;
  #said = '';
  #hasFailed = false;
  #cancels = new Map<'status' | 'watchdog', () => void>();

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.#notifier = new Notifier(options.send, (error) => this.#warn(error));
  }

  /** Says that the daemon answers, and from now on what it does and that it is alive. */
  ready(): void {
    const { env } = this.#options;
    if (!env['NOTIFY_SOCKET']) return;
    this.#notifier.say('READY', '1');
    this.#sayStatus();
    const spanMs = watchdogMs(this.#options);
    if (spanMs !== null) this.#watch(spanMs / 3);
  }

  /** Says that the daemon ends; settles when that is said. */
  async stopping(): Promise<void> {
    if (!this.#options.env['NOTIFY_SOCKET']) return;
    this.#cancels.get('status')?.();
    this.#notifier.say('STOPPING', '1');
    this.#notifier.say('STATUS', 'Stopping: requests under way may end');
    await this.#notifier.flushed();
  }

  /** Ends what runs. */
  close(): void {
    for (const cancel of this.#cancels.values()) cancel();
  }

  #sayStatus(): void {
    const status = this.#options.status();
    if (status !== this.#said) this.#notifier.say('STATUS', status);
    this.#said = status;
    this.#cancels.set(
      'status',
      this.#options.clock.after(statusMs, () => this.#sayStatus()),
    );
  }

  #watch(everyMs: number): void {
    const look = async () => {
      if (await this.#options.isAlive()) this.#notifier.say('WATCHDOG', '1');
      else this.#options.log.error('this process does not answer itself: the watchdog hears nothing');
    };
    this.#cancels.set(
      'watchdog',
      this.#options.clock.after(everyMs, () => {
        this.#watch(everyMs);
        void look();
      }),
    );
  }

  #warn(error: Error): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#options.log.warn({ err: error }, 'systemd cannot be told anything: is systemd-notify there?');
  }
}

/** The span within which the manager wants to hear something; null when it does not, or means another process. */
function watchdogMs({ env, pid }: ServiceOptions): number | null {
  const { WATCHDOG_USEC: span, WATCHDOG_PID: meant } = env;
  if (span === undefined || !/^[1-9]\d{0,15}$/.test(span)) return null;
  return meant !== undefined && meant !== String(pid) ? null : Number(span) / 1000;
}
