import { join } from 'node:path';
import type { EnvironmentValue } from './environment.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the cache lies, and where its token is kept, by the rules that every tool of this layout follows. */
const folderOf = (env: Environment): { readonly root: string; readonly name: string } | undefined => {
  if (env['HF_HOME']) return { root: env['HF_HOME'], name: 'HF_HOME' };
  if (env['XDG_CACHE_HOME']) return { root: join(env['XDG_CACHE_HOME'], 'huggingface'), name: 'XDG_CACHE_HOME' };
  if (env['HOME']) return { root: join(env['HOME'], '.cache', 'huggingface'), name: 'HOME' };
  return undefined;
};

const isTrue = (text: string): boolean => ['1', 'on', 'yes', 'true'].includes(text.toLowerCase());

/**
 * Values of `[hub]` that the variables of the Hugging Face tools give. They yield to the file and to `NEURON_HUB__...`; an
 * empty variable counts as absent.
 */
export const hubEnvironment = (env: Environment): EnvironmentValue[] => {
  const values: EnvironmentValue[] = [];
  const add = (key: string, name: string, value: unknown) => values.push({ path: ['hub', key], value, name });
  const home = folderOf(env);
  if (home) {
    add('cache_dir', home.name, join(home.root, 'hub'));
    add('token_file', home.name, join(home.root, 'token'));
  }
  for (const [key, name] of [
    ['cache_dir', 'HF_HUB_CACHE'],
    ['token_file', 'HF_TOKEN_PATH'],
    ['endpoint', 'HF_ENDPOINT'],
    ['token', 'HF_TOKEN'],
  ] as const)
    if (env[name]) add(key, name, env[name]);
  if (env['HF_HUB_OFFLINE']) add('offline', 'HF_HUB_OFFLINE', isTrue(env['HF_HUB_OFFLINE']));
  return values;
};

/** Whether the value of a key must not be shown; the address of a ledger may hold its password. */
export const isSecretKey = (path: string): boolean => /(?:^|\.)(?:token|key|url)$/.test(path);
