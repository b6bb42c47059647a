import { mkdtempSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { runCortex } from '../testing/index.js';

const folder = mkdtempSync(join(tmpdir(), 'cortex-plugins-'));
test.after.always(() => rm(folder, { recursive: true }));

/** Plugins are linked for one home folder, so that a test never touches a person's own. */
const homeOf = (name: string) => ({
  HOME: join(folder, name),
  XDG_DATA_HOME: join(folder, name, 'data'),
  XDG_CONFIG_HOME: join(folder, name, 'config'),
  XDG_CACHE_HOME: join(folder, name, 'cache'),
});

async function linkPlugin(home: string, name: string, hook: string): Promise<void> {
  const plugin = join(folder, name);
  await mkdir(plugin, { recursive: true });
  await writeFile(
    join(plugin, 'package.json'),
    JSON.stringify({
      name,
      version: '1.0.0',
      type: 'module',
      oclif: { bin: 'cortex', hooks: { 'cortex:architectures': './hook.js' } },
    }),
  );
  await writeFile(join(plugin, 'hook.js'), hook);
  await runCortex(['plugins', 'link', '--no-install', plugin], { env: homeOf(home) });
}

const llama = fileURLToPath(new URL('../../../arch-llama', import.meta.url));

test('a plugin that fails, and one of another contract, are warnings that name them', async (t) => {
  await linkPlugin('broken', 'arch-broken', "export default async () => { throw new Error('it is tired'); };");
  await linkPlugin('broken', 'arch-old', "export default async () => [{ name: 'old', contractVersion: 99 }];");
  const end = await runCortex(['preflight', '--device', 'reference'], { env: homeOf('broken') });
  t.is(end.code, 0, end.stderr);
  t.true(end.stderr.includes("Warning: Cannot use architecture plugin 'arch-broken': it is tired"), end.stderr);
  t.regex(end.stderr, /Warning: Cannot use architecture plugin 'arch-old': 'old' speaks contract version '99'/);
});

test('a llama model is refused with the command that helps, and accepted once its plugin is linked', async (t) => {
  const model = join(llama, 'fixtures/tiny');
  const env = homeOf('linked');
  const before = await runCortex(['preflight', model, '--device', 'reference'], { env });
  t.is(before.code, 69, before.stderr);
  t.true(before.stdout.includes('cortex plugins install @helexa/arch-llama'), before.stdout);
  const link = await runCortex(['plugins', 'link', '--no-install', llama], { env });
  t.is(link.code, 0, link.stderr);
  const after = await runCortex(['preflight', model, '--device', 'reference'], { env });
  t.is(after.code, 0, after.stderr);
  t.regex(after.stdout, /^yes: /);
});
