import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { CortexError } from '@helexa/core';
import { z } from 'zod';

/** What a key has used in its window so far. */
export interface BudgetRow {
  readonly keyId: string;
  readonly spent: number;
  /** Start of the window, in milliseconds since 1970. */
  readonly windowStartMs: number;
}

/** Where budgets outlive the process. */
export interface BudgetStore {
  /** The newest row of every key. */
  load(): Promise<readonly BudgetRow[]>;
  /** Notes a row; returns at once, nothing waits for a disk. */
  put(row: BudgetRow): void;
  /** Settles when everything noted is kept. */
  close(): Promise<void>;
}

/** Budgets that end with the process. */
export const memoryBudgets = (): BudgetStore => ({
  load: () => Promise.resolve([]),
  put: () => {},
  close: () => Promise.resolve(),
});

const budgetRow = z.object({ keyId: z.string(), spent: z.number().min(0), windowStartMs: z.number() });

/** The last row of each key; the last line may be half a line, when the process died while it wrote. */
const rowsIn = (text: string, file: string): ReadonlyMap<string, BudgetRow> => {
  const rows = new Map<string, BudgetRow>();
  const lines = text.split('\n');
  lines.forEach((line, index) => {
    if (line === '') return;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      if (index === lines.length - 1) return;
      throw new CortexError('config_invalid', { where: file, line: index + 1, reason: 'it is not JSON' }, { cause });
    }
    const parsed = budgetRow.safeParse(value);
    if (!parsed.success) {
      throw new CortexError('config_invalid', { where: file, line: index + 1, reason: 'it is no row of a budget' });
    }
    rows.set(parsed.data.keyId, parsed.data);
  });
  return rows;
};

const readIfThere = async (file: string): Promise<string> => {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return '';
    throw new CortexError('config_missing', { file, reason: `it cannot be read (${code ?? 'unknown'})` }, { cause });
  }
};

export interface BudgetJournalOptions {
  readonly file: string;
  /** Called when rows could not be written; they are tried again with the next ones. */
  readonly onError: (error: unknown) => void;
}

/** Budgets in a file of JSON lines: rows are appended, the newest one of a key counts, and a start leaves one row each. */
export const budgetJournal = ({ file: path, onError }: BudgetJournalOptions): BudgetStore => {
  const file = resolve(path);
  let waiting = new Map<string, BudgetRow>();
  let writing: Promise<void> | undefined;

  const append = async (rows: readonly BudgetRow[]): Promise<void> => {
    const handle = await open(file, 'a', 0o600);
    try {
      await handle.write(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    } finally {
      await handle.close();
    }
  };
  const flush = async (): Promise<void> => {
    while (waiting.size > 0) {
      const rows = waiting;
      waiting = new Map();
      try {
        await append([...rows.values()]);
      } catch (error) {
        // A newer row of the same key has taken the place of the one that was lost.
        waiting = new Map([...rows, ...waiting]);
        onError(error);
        return;
      }
    }
  };
  return {
    load: async () => {
      const rows = [...rowsIn(await readIfThere(file), file).values()];
      await mkdir(dirname(file), { recursive: true });
      const fresh = `${file}.new`;
      await writeFile(fresh, rows.map((row) => `${JSON.stringify(row)}\n`).join(''), { mode: 0o600 });
      await rename(fresh, file);
      return rows;
    },
    put: (row) => {
      waiting.set(row.keyId, row);
      writing ??= flush().finally(() => {
        writing = undefined;
      });
    },
    close: async () => {
      await writing;
      await flush();
    },
  };
};
