/** The thread that owns the database file of a ledger. */
import { parentPort, workerData } from 'node:worker_threads';
import { CortexError } from '@helexa/core';
import type { KeptAccount, KeptReservation, LedgerChange } from './ledger-store.js';

export interface SqliteQuestion {
  readonly id: number;
  readonly what:
    | { readonly kind: 'open'; readonly file: string }
    | { readonly kind: 'write'; readonly change: LedgerChange }
    | { readonly kind: 'close' };
}

export interface SqliteAnswer {
  readonly id: number;
  readonly value?: unknown;
  readonly problem?: { readonly reason: string; readonly isMissing: boolean };
}

/** What is used of the library; its own types know less. */
interface Statement {
  run(...values: (string | number)[]): unknown;
  all(): unknown[];
}
interface Database {
  exec(sql: string): unknown;
  prepare(sql: string): Statement;
  close(): void;
}
type DatabaseClass = new (file: string) => Database;

const schemaVersion = 1;

const schema = `
  CREATE TABLE IF NOT EXISTS accounts (
    key_id TEXT PRIMARY KEY, spent INTEGER NOT NULL, window_start_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS reservations (
    id TEXT PRIMARY KEY, key_id TEXT NOT NULL, least INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${schemaVersion};
`;

class LedgerFile {
  readonly #database: Database;
  readonly #putAccount: Statement;
  readonly #putReservation: Statement;
  readonly #dropReservation: Statement;

  constructor(database: Database, file: string) {
    this.#database = database;
    // One gateway for one file: another one would not see what this one has set aside.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
    database.exec('BEGIN EXCLUSIVE');
    const [found] = database.prepare('PRAGMA user_version').all() as { user_version: number }[];
    const version = found?.user_version ?? 0;
    if (version > schemaVersion) {
      const reason = `its version is ${version}; at most ${schemaVersion} is wanted`;
      throw new CortexError('ledger_unavailable', { where: file, reason });
    }
    database.exec(schema);
    database.exec('COMMIT');
    this.#putAccount = database.prepare(
      `INSERT INTO accounts (key_id, spent, window_start_ms) VALUES (?, ?, ?)
       ON CONFLICT (key_id) DO UPDATE SET spent = excluded.spent, window_start_ms = excluded.window_start_ms`,
    );
    this.#putReservation = database.prepare('INSERT OR REPLACE INTO reservations (id, key_id, least) VALUES (?, ?, ?)');
    this.#dropReservation = database.prepare('DELETE FROM reservations WHERE id = ?');
  }

  load(): { accounts: readonly KeptAccount[]; reservations: readonly KeptReservation[] } {
    const all = (sql: string): unknown[] => this.#database.prepare(sql).all();
    return {
      accounts: all(
        'SELECT key_id AS keyId, spent, window_start_ms AS windowStartMs FROM accounts',
      ) as readonly KeptAccount[],
      reservations: all('SELECT id, key_id AS keyId, least FROM reservations') as readonly KeptReservation[],
    };
  }

  write({ accounts, opened, closed }: LedgerChange): void {
    this.#database.exec('BEGIN');
    try {
      for (const { keyId, spent, windowStartMs } of accounts) this.#putAccount.run(keyId, spent, windowStartMs);
      for (const { id, keyId, least } of opened) this.#putReservation.run(id, keyId, least);
      for (const id of closed) this.#dropReservation.run(id);
      this.#database.exec('COMMIT');
    } catch (error) {
      this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  close(): void {
    this.#database.close();
  }
}

let ledger: LedgerFile | undefined;

const answer = async ({ what }: SqliteQuestion): Promise<unknown> => {
  switch (what.kind) {
    case 'open': {
      const { library } = workerData as { library: string };
      const { default: Database } = (await import(library)) as { default: DatabaseClass };
      ledger = new LedgerFile(new Database(what.file), what.file);
      return ledger.load();
    }
    case 'write':
      return ledger?.write(what.change);
    case 'close':
      return ledger?.close();
  }
};

const reasonOf = (error: unknown): string => {
  if (CortexError.isInstance(error)) return (error.details as { reason: string }).reason;
  const { code, message } = error as { code?: string; message?: string };
  if (code?.startsWith('SQLITE_BUSY') || code?.startsWith('SQLITE_LOCKED')) {
    return 'another process has it open; a file for each gateway, or a ledger of Redis, is wanted';
  }
  return code === undefined ? (message ?? 'unknown') : `${message} (${code})`;
};

parentPort?.on('message', (question: SqliteQuestion) => {
  answer(question).then(
    (value) => parentPort?.postMessage({ id: question.id, value } satisfies SqliteAnswer),
    (error: unknown) => {
      const isMissing = (error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND';
      parentPort?.postMessage({ id: question.id, problem: { reason: reasonOf(error), isMissing } });
    },
  );
});
