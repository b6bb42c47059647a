import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelLocation } from './model-locator.js';

/** Models that lie below the folders, as `name` or `org/name`, sorted by id; the first folder that has an id wins. */
export async function scanModels(folders: readonly string[]): Promise<ModelLocation[]> {
  const found = new Map<string, ModelLocation>();
  const add = (id: string, path: string) => {
    if (!found.has(id)) found.set(id, { id, path });
  };
  for (const folder of folders) {
    for (const entry of await entriesOf(folder)) {
      const path = join(folder, entry);
      if (entry.endsWith('.gguf')) add(entry.slice(0, -'.gguf'.length), path);
      const inner = await entriesOf(path);
      if (isModel(inner)) add(entry, path);
      else {
        for (const name of inner)
          if (isModel(await entriesOf(join(path, name)))) add(`${entry}/${name}`, join(path, name));
      }
    }
  }
  return [...found.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

const isModel = (entries: readonly string[]): boolean =>
  entries.some((name) => name.endsWith('.gguf')) ||
  (entries.includes('config.json') && entries.some((name) => name.endsWith('.safetensors')));

/** Names in a folder; none when it is a file, absent or closed to us: what cannot be seen is not listed. */
async function entriesOf(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith('.'));
  } catch {
    return [];
  }
}
