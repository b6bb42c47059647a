#!/usr/bin/env node
import { readdirSync, statSync } from 'node:fs';

const changedAt = (url) => statSync(url, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Whether the bundle is there and holds what was compiled last; an installed package has no record of compiling. */
function isBundled() {
  const bundledAt = changedAt(new URL('../bundle/cli.js', import.meta.url));
  if (bundledAt === 0 || changedAt(new URL('../dist/.tsbuildinfo', import.meta.url)) === 0) return bundledAt > 0;
  const packages = new URL('../../', import.meta.url);
  return readdirSync(packages).every((name) => changedAt(new URL(`${name}/dist/.tsbuildinfo`, packages)) <= bundledAt);
}

if (isBundled()) await import('../bundle/cli.js');
else {
  const { execute } = await import('@oclif/core');
  await execute({ dir: import.meta.url });
}
