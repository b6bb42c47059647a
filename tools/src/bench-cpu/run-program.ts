import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CortexError } from '@helexa/core';
import { repositoryRoot } from '../shared/repository-root.js';

const execute = promisify(execFile);

/** What a program says on its standard output. */
async function outputOf(program: string, args: readonly string[]): Promise<string> {
  try {
    return (await execute(program, args, { maxBuffer: 1 << 26 })).stdout;
  } catch (error) {
    const reason = error instanceof Error ? error.message.slice(0, 300) : String(error);
    throw new CortexError('backend_unavailable', { backend: program, reason });
  }
}

const flags = (values: Readonly<Record<string, string | number>>): string[] =>
  Object.entries(values).flatMap(([name, value]) => [name, String(value)]);

/** Tokens per second of a `llama-bench` in one test, of a prompt or of generating. */
export async function llamaBenchSpeed(
  program: string,
  test: { readonly model: string; readonly threads: number; readonly prompt: number; readonly generate: number },
): Promise<number> {
  const { model, threads, prompt, generate } = test;
  const shape = flags({ '-m': model, '-t': threads, '-p': prompt, '-n': generate, '-r': 1, '-o': 'json' });
  const text = await outputOf(program, shape);
  const rows = JSON.parse(text.slice(text.indexOf('['))) as { avg_ts: number }[];
  return rows[0]?.avg_ts ?? Number.NaN;
}

/** Seconds that work takes. */
async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const begun = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - begun) / 1e9;
}

/** Seconds of a whole `llama-bench` process that makes one token without a warm-up. */
export const llamaBenchStart = (program: string, model: string, threads: number): Promise<number> =>
  secondsOf(() => outputOf(program, flags({ '-m': model, '-t': threads, '-p': 0, '-n': 1, '-r': 1, '-w': 0 })));

/** Makes the CLI start as an installed one does. */
export const bundleCli = (): Promise<string> =>
  outputOf(process.execPath, [join(repositoryRoot, 'tools/build-bundle.js')]);

/** Seconds of a whole `cortex bench` process that makes one token without a warm-up. */
export const ownStart = (model: string, threads: number): Promise<number> =>
  secondsOf(() =>
    outputOf(process.execPath, [
      join(repositoryRoot, 'packages/cli/bin/run.js'),
      'bench',
      ...flags({ '--model': model, '--threads': threads, '--prompt': 0, '--generate': 1, '--repeat': 1 }),
      ...['--device', 'cpu', '--no-warm-up', '--no-bandwidth'],
    ]),
  );
