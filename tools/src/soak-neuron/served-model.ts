import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from '../shared/repository-root.js';

/** Id of the soaked model below its models folder. */
export const soakModel = 'tiny';

/** A models folder with the neuron's tiny test checkpoint, as the family that it has the shapes of. Owner: the caller. */
export function makeModelsFolder(): { readonly path: string; dispose(): void } {
  const path = mkdtempSync(join(tmpdir(), 'cortex-soak-'));
  const model = join(path, soakModel);
  cpSync(join(repositoryRoot, 'packages/neuron/fixtures/tiny'), model, { recursive: true });
  const config = JSON.parse(readFileSync(join(model, 'config.json'), 'utf8')) as Record<string, unknown>;
  writeFileSync(
    join(model, 'config.json'),
    JSON.stringify({ ...config, model_type: 'qwen3', tie_word_embeddings: true }),
  );
  return { path, dispose: () => rmSync(path, { recursive: true, force: true }) };
}
