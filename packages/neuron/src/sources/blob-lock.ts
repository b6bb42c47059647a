import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { Clock } from '@helexa/core';
import { sleep } from './retry.js';

const lookAgainMs = 500;
/** A download that has not grown for so long belongs to nobody. */
const staleMs = 300_000;

/**
 * Holds a file against other processes of any host while `use` runs. A lock whose process has ended, or whose download stands
 * still, is taken over.
 */
export async function withBlobLock<Result>(
  blob: string,
  clock: Clock,
  signal: AbortSignal | undefined,
  use: () => Promise<Result>,
): Promise<Result> {
  const lock = `${blob}.lock`;
  while (!(await isTaken(lock))) {
    if (await isStale(lock, blob, clock)) await rm(lock, { force: true });
    else await sleep(clock, lookAgainMs, signal);
  }
  try {
    return await use();
  } finally {
    await rm(lock, { force: true });
  }
}

async function isTaken(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, JSON.stringify({ host: hostname(), pid: process.pid }), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function isStale(lock: string, blob: string, clock: Clock): Promise<boolean> {
  const touched = await Promise.all(
    [lock, `${blob}.incomplete`].map((path) =>
      stat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      ),
    ),
  );
  if (clock.unixMs() - Math.max(...touched) > staleMs) return true;
  const text = await readFile(lock, 'utf8').catch(() => '');
  const owner = /^\{"host":"(?<host>[^"]*)","pid":(?<pid>\d+)\}$/.exec(text)?.groups;
  return owner?.['host'] === hostname() && !isAlive(Number(owner['pid']));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of somebody else is alive too.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
