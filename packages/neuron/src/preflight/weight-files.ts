import { basename } from 'node:path';
import type { Checkpoint } from '@helexa/core';

/** Names of the files that hold a checkpoint's tensors, and of the index that joins them. */
export function weightFiles(checkpoint: Checkpoint): string[] {
  const files = new Set([...checkpoint.tensors.values()].map(({ file }) => basename(file)));
  if (checkpoint.kind === 'gguf') files.add(basename(checkpoint.path));
  return [...files].toSorted();
}
