import type { Hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { startHash } from './file-digest.js';
import type { FileHash } from './repository-file.js';

/** What the thread is told, in order for each id. */
export type DigestTask =
  | { readonly kind: 'begin'; readonly id: number; readonly wanted: FileHash; readonly bytes: number }
  | { readonly kind: 'bytes'; readonly id: number; readonly chunk: Uint8Array }
  | { readonly kind: 'end' | 'abandon'; readonly id: number };

/** `taken` says how many bytes are in the hash, so that a fast reader does not run ahead. */
export type DigestAnswer =
  | { readonly kind: 'taken'; readonly id: number; readonly bytes: number }
  | { readonly kind: 'digest'; readonly id: number; readonly hex: string };

if (parentPort) {
  const port = parentPort;
  const hashes = new Map<number, Hash>();
  const answer = (message: DigestAnswer) => port.postMessage(message);
  port.on('message', (task: DigestTask) => {
    const { id } = task;
    if (task.kind === 'begin') hashes.set(id, startHash(task.wanted, task.bytes));
    else if (task.kind === 'bytes') {
      hashes.get(id)?.update(task.chunk);
      answer({ kind: 'taken', id, bytes: task.chunk.length });
    } else {
      const hash = hashes.get(id);
      hashes.delete(id);
      if (task.kind === 'end' && hash) answer({ kind: 'digest', id, hex: hash.digest('hex') });
    }
  });
}
