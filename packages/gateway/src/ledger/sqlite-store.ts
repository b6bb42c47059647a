import { mkdir, open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { CortexError } from '@helexa/core';
import type { LedgerChange, LedgerStore } from './ledger-store.js';
import type { SqliteAnswer, SqliteQuestion } from './sqlite-store.worker.js';

export interface SqliteStoreOptions {
  readonly file: string;
  /** Module of the database; another one in tests. */
  readonly library?: string;
}

/** A file that only the gateway's own user can read: it is there before the database writes into it. */
const createPrivately = async (file: string): Promise<void> => {
  try {
    await mkdir(dirname(file), { recursive: true });
    await (await open(file, 'a', 0o600)).close();
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException;
    throw new CortexError('ledger_unavailable', { where: file, reason: `it cannot be written (${code})` }, { cause });
  }
};

/** Budgets in a SQLite file, written by a thread of its own: the gateway's never waits for a disk. */
export const sqliteStore = ({ file: path, library = 'libsql' }: SqliteStoreOptions): LedgerStore => {
  const file = resolve(path);
  const waiting = new Map<number, { resolve(value: never): void; reject(error: unknown): void }>();
  let worker: Worker | undefined;
  let isDead: CortexError | undefined;
  let count = 0;

  const failAll = (error: CortexError): void => {
    isDead = error;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };

  const ask = <Answer>(question: SqliteQuestion['what']): Promise<Answer> =>
    new Promise((resolveAnswer, reject) => {
      if (!worker || isDead) {
        reject(isDead ?? new CortexError('disposed', { what: 'the ledger' }));
        return;
      }
      count += 1;
      waiting.set(count, { resolve: resolveAnswer as (value: never) => void, reject });
      worker.postMessage({ id: count, what: question } satisfies SqliteQuestion);
    });

  const onAnswer = ({ id, value, problem }: SqliteAnswer): void => {
    const asker = waiting.get(id);
    waiting.delete(id);
    if (problem?.isMissing)
      asker?.reject(new CortexError('library_missing', { library, setting: 'entitlements.ledger' }));
    else if (problem) asker?.reject(new CortexError('ledger_unavailable', { where: file, reason: problem.reason }));
    else asker?.resolve(value as never);
  };

  return {
    open: async () => {
      await createPrivately(file);
      const died = (cause: unknown): void =>
        failAll(new CortexError('ledger_unavailable', { where: file, reason: 'its thread has ended' }, { cause }));
      worker = new Worker(new URL('./sqlite-store.worker.js', import.meta.url), {
        workerData: { library },
        execArgv: [],
      });
      worker.on('message', onAnswer).on('error', died).on('exit', died);
      try {
        return await ask({ kind: 'open', file });
      } catch (error) {
        await worker.terminate();
        worker = undefined;
        throw error;
      }
    },
    write: (change: LedgerChange) => ask({ kind: 'write', change }),
    close: async () => {
      if (!worker || isDead) return;
      await ask({ kind: 'close' });
      await worker.terminate();
      worker = undefined;
    },
  };
};
