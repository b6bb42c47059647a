import { Worker } from 'node:worker_threads';
import { CortexError } from '@helexa/core';
import type { DigestAnswer, DigestTask } from './digest-thread.worker.js';
import { type FileDigest, startHash } from './file-digest.js';
import type { FileHash } from './repository-file.js';

/** Below this a file is hashed where it is: a thread would take longer to begin. */
const smallBytes = 4 * 2 ** 20;
/** Bytes that one file may be ahead of the thread. */
const mostAheadBytes = 16 * 2 ** 20;

interface OpenDigest {
  aheadBytes: number;
  resume: (() => void) | null;
  readonly settle: (hex: string) => void;
  readonly fail: (error: Error) => void;
}

/**
 * Hashes large files on a thread of its own: a download at the speed of a disk would otherwise take half of the thread that serves
 * requests. The thread begins with the first large file. Owner: the model sources.
 */
export class DigestThread {
  readonly #open = new Map<number, OpenDigest>();
  #worker: Worker | null = null;
  #nextId = 1;
  #failure: Error | null = null;

  /** Begins the hash of a file of `bytes`. */
  digest(wanted: FileHash, bytes: number): FileDigest {
    return bytes < smallBytes ? digestHere(wanted, bytes) : this.#digestThere(wanted, bytes);
  }

  async close(): Promise<void> {
    this.#failAll(new CortexError('disposed', { what: 'hash thread' }));
    await this.#worker?.terminate();
    this.#worker = null;
  }

  #digestThere(wanted: FileHash, bytes: number): FileDigest {
    const id = this.#nextId++;
    const worker = this.#start();
    const post = (task: DigestTask) => worker.postMessage(task);
    let settle: OpenDigest['settle'] = () => {};
    let fail: OpenDigest['fail'] = () => {};
    const result = new Promise<string>((resolve, reject) => {
      settle = resolve;
      fail = reject;
    });
    // A file that is given up before its end is nobody's failure.
    result.catch(() => undefined);
    const open: OpenDigest = { aheadBytes: 0, resume: null, settle, fail };
    this.#open.set(id, open);
    post({ kind: 'begin', id, wanted, bytes });
    return {
      update: async (chunk) => {
        if (this.#failure) throw this.#failure;
        open.aheadBytes += chunk.length;
        post({ kind: 'bytes', id, chunk });
        if (open.aheadBytes < mostAheadBytes) return;
        await new Promise<void>((resolve) => {
          open.resume = resolve;
        });
      },
      mismatch: async () => {
        post({ kind: 'end', id });
        const hex = await result;
        return hex === wanted.hex ? null : hex;
      },
      abandon: () => {
        this.#open.delete(id);
        post({ kind: 'abandon', id });
      },
    };
  }

  #start(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(new URL('./digest-thread.worker.js', import.meta.url));
    // It waits for work all its life and must not keep the process for that.
    worker.unref();
    worker.on('message', (answer: DigestAnswer) => this.#hear(answer));
    worker.on('error', (cause: Error) => {
      this.#failAll(
        new CortexError('internal_error', { reason: 'the thread that hashes downloads failed' }, { cause }),
      );
    });
    this.#worker = worker;
    return worker;
  }

  #hear(answer: DigestAnswer): void {
    const open = this.#open.get(answer.id);
    if (!open) return;
    if (answer.kind === 'digest') {
      this.#open.delete(answer.id);
      open.settle(answer.hex);
      return;
    }
    open.aheadBytes -= answer.bytes;
    if (open.aheadBytes < mostAheadBytes) this.#resume(open);
  }

  #failAll(error: Error): void {
    this.#failure = error;
    for (const open of this.#open.values()) {
      open.fail(error);
      this.#resume(open);
    }
    this.#open.clear();
  }

  #resume(open: OpenDigest): void {
    open.resume?.();
    open.resume = null;
  }
}

function digestHere(wanted: FileHash, bytes: number): FileDigest {
  const hash = startHash(wanted, bytes);
  return {
    update: async (chunk) => {
      hash.update(chunk);
    },
    mismatch: async () => {
      const hex = hash.digest('hex');
      return hex === wanted.hex ? null : hex;
    },
    abandon: () => {},
  };
}
