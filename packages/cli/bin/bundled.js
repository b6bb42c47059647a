// The CLI out of the bundle: what is named by folders of the packages is taken from here instead.
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Config, execute } from '@oclif/core';

const bundle = dirname(fileURLToPath(import.meta.url));
const config = await Config.load({ root: dirname(bundle) });
for (const plugin of config.plugins.values()) {
  if (plugin.isRoot)
    for (const command of Object.values(plugin.manifest.commands)) command.relativePath?.splice(0, 1, 'bundle');
  const hook = join(bundle, 'hooks', `${plugin.name}.js`);
  if (plugin.type === 'core' && existsSync(hook))
    plugin.hooks = {
      ...plugin.hooks,
      'cortex:architectures': [{ identifier: 'default', target: relative(plugin.root, hook) }],
    };
}
await execute({ loadOptions: config });
