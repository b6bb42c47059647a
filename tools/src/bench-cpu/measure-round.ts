import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { repositoryRoot } from '../shared/repository-root.js';

/** What one program made of one model in one run, in tokens per second. */
export interface Speeds {
  readonly prefill: number;
  readonly decode: number;
}

/** A run of ours knows what decoding must read and how fast this machine reads. */
export interface OwnSpeeds extends Speeds {
  /** Bytes per second, the mean of a probe before and after. */
  readonly readBandwidth: number;
  /** Of that, what decoding reached. */
  readonly fraction: number;
}

export interface Shape {
  readonly model: string;
  readonly threads: number;
  readonly prompt: number;
  readonly generate: number;
}

const run = (program: string, args: readonly string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 26 });

/** `cortex bench` on the CPU backend. */
export function measureOurs({ model, threads, prompt, generate }: Shape): OwnSpeeds {
  const flags = { model, threads, prompt, generate, repeat: 1, device: 'cpu' };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const cli = join(repositoryRoot, 'packages/cli/bin/run.js');
  const report = JSON.parse(run(process.execPath, [cli, 'bench', '--json', ...args])) as {
    prefill: { mean: number };
    decode: { mean: number };
    readBandwidth: number;
    fraction: number;
  };
  const { prefill, decode, readBandwidth, fraction } = report;
  return { prefill: prefill.mean, decode: decode.mean, readBandwidth, fraction };
}

/** A `llama-bench` of any llama.cpp. */
export function measureTheirs(program: string, { model, threads, prompt, generate }: Shape): Speeds {
  const shape = ['-m', model, '-t', String(threads), '-p', String(prompt), '-n', String(generate), '-r', '1'];
  const text = run(program, [...shape, '-o', 'json']);
  const rows = JSON.parse(text.slice(text.indexOf('['))) as { n_prompt: number; n_gen: number; avg_ts: number }[];
  const speed = (isDecode: boolean) => rows.find((row) => row.n_gen > 0 === isDecode)?.avg_ts ?? Number.NaN;
  return { prefill: speed(false), decode: speed(true) };
}
