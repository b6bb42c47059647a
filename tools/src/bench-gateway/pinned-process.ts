import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { CortexError } from '@helexa/core';

/** Which core does what: the proxy has one to itself. */
export const cores = { proxy: 0, load: 1 } as const;

/** Ticks of a second in `/proc`; the same on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** Microseconds of processor that a process and all its threads have used. */
export const cpuUsOf = (pid: number): number => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number);
  return (((user ?? 0) + (system ?? 0)) / ticksPerSecond) * 1e6;
};

/** Bytes of memory that a process has resident. */
export const residentBytesOf = (pid: number): number => {
  const kilobytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return Number(kilobytes ?? 0) * 1024;
};

/** File descriptors that a process has open. */
export const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** A program on one core, and the address it told; Node programs tell it over IPC. Owner: whoever started it. */
export class PinnedProcess {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid as number;
    this.#exit = once(child, 'exit');
  }

  /** Starts `command` on a core, or wherever there is room; what it logs goes to a file. */
  static start(core: number | undefined, command: readonly string[], logFile: string): PinnedProcess {
    const log = openSync(logFile, 'a');
    const [program, ...rest] = core === undefined ? command : ['taskset', '-c', String(core), ...command];
    const child = spawn(program as string, rest, { stdio: ['ignore', log, log, 'ipc'] });
    closeSync(log);
    return new PinnedProcess(child);
  }

  /** The next thing that a Node program tells; rejects when it ends instead. */
  async told<Message>(): Promise<Message> {
    const ended = this.#exit.then(() =>
      Promise.reject(new CortexError('internal_error', { reason: `process ${this.pid} of the benchmark ended early` })),
    );
    ended.catch(() => {});
    const [message] = (await Promise.race([once(this.#child, 'message'), ended])) as [Message];
    return message;
  }

  /** Asks a Node program something, and gives its answer. */
  ask<Message>(message: string): Promise<Message> {
    const answer = this.told<Message>();
    this.#child.send(message);
    return answer;
  }

  async close(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#exit;
  }
}
