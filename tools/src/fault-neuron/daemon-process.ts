import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../shared/repository-root.js';

/** How a daemon ended: its exit code or the signal. */
export type Ending = number | NodeJS.Signals;

/** A daemon of the command line in a process of its own. */
export interface DaemonProcess {
  readonly url: string;
  readonly pid: number;
  readonly stderr: string;
  readonly ended: Promise<Ending>;
  kill(signal: NodeJS.Signals): void;
  /** Threads and open files of the process, from /proc. */
  counts(): { readonly threads: number; readonly files: number };
}

const program = join(repositoryRoot, 'packages/cli/bin/run.js');

/** Starts a daemon with `--json` and waits for the line with its address. */
export async function startDaemon(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<DaemonProcess> {
  const child: ChildProcess = spawn(process.execPath, [program, ...args, '--json'], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as Ending);
  const url = await new Promise<string | null>((resolve) => {
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (stdout.includes('\n')) resolve((JSON.parse(stdout.split('\n')[0]!) as { url: string }).url);
    });
    void ended.then(() => resolve(null));
  });
  const pid = child.pid ?? 0;
  return {
    // A daemon that ended before it answered has no address: its case fails on the first request.
    url: url ?? 'http://127.0.0.1:1',
    pid,
    get stderr() {
      return stderr;
    },
    ended,
    kill: (signal) => {
      child.kill(signal);
    },
    counts: () => ({
      threads: readdirSync(`/proc/${pid}/task`).length,
      files: readdirSync(`/proc/${pid}/fd`).length,
    }),
  };
}
