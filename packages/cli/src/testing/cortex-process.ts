import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** How a process ended. */
export interface Ended {
  /** Exit code, or the name of the signal that ended it. */
  readonly code: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProcessOptions {
  /** Program to run with this Node; absent: the CLI of this package. */
  readonly program?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** What `cortex up --json` prints when it is ready. */
export interface UpAddress {
  readonly url: string;
  readonly neuronUrl: string;
  readonly metricsUrl: string;
  readonly model: string;
}

export interface RunningCortex {
  readonly address: UpAddress;
  readonly pid: number;
  /** Sends a signal (SIGTERM unless told otherwise) and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<Ended>;
}

/** Entry point of the CLI in this package. */
export const cliProgram = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'bin/run.js');

function launch(program: string, args: readonly string[], options: ProcessOptions) {
  const child = spawn(process.execPath, [program, ...args], {
    cwd: options.cwd,
    // A test asks nobody outside of this machine.
    env: { ...process.env, NO_COLOR: '1', HF_HUB_OFFLINE: '1', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  const readers = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    for (const reader of readers) reader();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code: code ?? signal, stdout, stderr }));
  });
  return { child, ended, output: () => stdout, onOutput: (reader: () => void) => readers.add(reader) };
}

/** Runs one command to its end. */
export const runCortex = (args: readonly string[], options: ProcessOptions = {}): Promise<Ended> =>
  launch(options.program ?? cliProgram, args, options).ended;

/** Runs any JavaScript program with this Node to its end. */
export const runProgram = (program: string, args: readonly string[], options: ProcessOptions = {}): Promise<Ended> =>
  launch(program, args, options).ended;

/** Starts `cortex up --json` on free ports and waits until it says that it is ready; rejects with its words if it ends first. */
export async function startCortex(args: readonly string[], options: ProcessOptions = {}): Promise<RunningCortex> {
  const free = ['--port', '0', '--neuron-port', '0', '--metrics-port', '0'];
  const { child, ended, output, onOutput } = launch(
    options.program ?? cliProgram,
    ['up', '--json', ...free, ...args],
    options,
  );
  const address = await new Promise<UpAddress>((resolve, reject) => {
    onOutput(() => {
      const [line, ...rest] = output().split('\n');
      if (line && rest.length > 0) resolve(JSON.parse(line) as UpAddress);
    });
    ended.then(
      ({ code, stdout, stderr }) => reject(new Error(`cortex up ended with ${code}\n${stdout}\n${stderr}`)),
      reject,
    );
  });
  return {
    address,
    pid: child.pid!,
    stop(signal = 'SIGTERM') {
      child.kill(signal);
      return ended;
    },
  };
}
