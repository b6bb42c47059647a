import { execFile } from 'node:child_process';

/** What a service says to its manager, in the words of sd_notify. */
export type NotifyVariable = 'READY' | 'STOPPING' | 'STATUS' | 'WATCHDOG';

/** Sends assignments such as `READY=1` to the manager; rejects when they could not be sent. */
export type SendAssignments = (assignments: readonly string[]) => Promise<void>;

/** A helper that does not end by then has no manager to speak to. */
const helperTimeoutMs = 5000;

/**
 * Sends by the helper that every systemd has: Node has no datagram sockets of the local kind. The helper finds the manager's
 * socket, abstract ones too, in the environment.
 */
export const sendByHelper =
  (env: NodeJS.ProcessEnv, program = 'systemd-notify'): SendAssignments =>
  (assignments) =>
    new Promise((resolve, reject) => {
      execFile(program, [...assignments], { env, timeout: helperTimeoutMs }, (error) =>
        error ? reject(error) : resolve(),
      );
    });

/** Says things one after the other; of a variable that changes faster than it can be said, the last value is said. */
export class Notifier {
  readonly #send: SendAssignments;
  readonly #onFailed: (error: Error) => void;
  readonly #pending = new Map<NotifyVariable, string>();
  #pump: Promise<void> | null = null;

  constructor(send: SendAssignments, onFailed: (error: Error) => void) {
    this.#send = send;
    this.#onFailed = onFailed;
  }

  say(variable: NotifyVariable, value: string): void {
    // A line break would begin another assignment.
    this.#pending.set(variable, value.replace(/\s+/g, ' '));
    this.#pump ??= this.#run();
  }

  /** Settles when everything is said. */
  async flushed(): Promise<void> {
    await this.#pump;
  }

  async #run(): Promise<void> {
    // What is said in one turn goes in one message.
    await Promise.resolve();
    while (this.#pending.size > 0) {
      const assignments = [...this.#pending].map(([variable, value]) => `${variable}=${value}`);
      this.#pending.clear();
      try {
        await this.#send(assignments);
      } catch (error) {
        this.#onFailed(error as Error);
      }
    }
    this.#pump = null;
  }
}
