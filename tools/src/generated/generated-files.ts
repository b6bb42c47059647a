import { renderOpcodesHeader } from '@helexa/graph/native';
import { renderCliPage } from './cli-page.js';
import { renderConfigPage } from './config-page.js';
import { renderErrorsPage } from './errors-page.js';

export interface GeneratedFile {
  /** From the repository's root. */
  readonly path: string;
  readonly content: string;
}

/** Every file of the repository that is made from code: `generate` writes them, `check:docs` compares them. */
export async function generatedFiles(root: string): Promise<GeneratedFile[]> {
  return [
    { path: 'docs/reference/errors.md', content: renderErrorsPage() },
    { path: 'docs/reference/config.md', content: renderConfigPage(root) },
    { path: 'docs/reference/cli.md', content: await renderCliPage(root) },
    { path: 'packages/graph/native/cortex/generated/opcodes.h', content: renderOpcodesHeader() },
  ];
}
