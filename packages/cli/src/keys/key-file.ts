import { chmod, chown, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { CortexError, type GatewayConfig, gatewayConfigSchema, loadConfig } from '@helexa/core';

export type KeyEntry = GatewayConfig['entitlements']['keys'][number];

/** The gateway's configuration as a file has it; what the environment adds is no key of the file. */
const read = async (file: string | undefined) =>
  await loadConfig({
    schema: gatewayConfigSchema,
    name: 'cortex',
    envPrefix: 'CORTEX_',
    file,
    env: file === undefined ? { HOME: process.env['HOME'] } : {},
  });

/** The name that a key has in budgets and metrics. */
export const keyIdOf = ({ key_id: id, account_id: account }: KeyEntry): string => id ?? account;

const defaultFile = 'cortex.toml';

export interface KeyFile {
  readonly file: string;
  readonly text: string;
  readonly config: GatewayConfig;
}

/** The file that holds the keys: the one that is named, else the one that the gateway would find, else a new one here. */
export async function openKeyFile(named: string | undefined): Promise<KeyFile> {
  const { config, file } = await read(named);
  return { file: file ?? defaultFile, text: file === undefined ? '' : await readFile(file, 'utf8'), config };
}

/** Whoever reads the file now is to read it afterwards, and nobody else. */
const keepOwner = async (from: string, to: string): Promise<void> => {
  const before = await stat(from).catch(() => undefined);
  if (!before) return;
  await chmod(to, before.mode);
  await chown(to, before.uid, before.gid);
};

/** Puts a text in the place of the file, once it is known to say what is meant; until then the file stays as it was. */
export async function replaceKeys({ file, config }: KeyFile, text: string, keys: readonly object[]): Promise<void> {
  const fresh = `${file}.new.toml`;
  try {
    await writeFile(fresh, text, { mode: 0o600 });
    await keepOwner(file, fresh);
    const { config: after } = await read(fresh);
    const wanted = gatewayConfigSchema.parse({ ...config, entitlements: { ...config.entitlements, keys } });
    if (!isDeepStrictEqual(after, wanted)) {
      const reason = "its keys are not written as '[[entitlements.keys]]' tables; edit it by hand";
      throw new CortexError('config_invalid', { where: file, reason });
    }
    await rename(fresh, file);
  } catch (error) {
    await rm(fresh, { force: true });
    if (CortexError.isInstance(error)) throw error;
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    throw new CortexError('config_invalid', { where: file, reason: `it cannot be written: ${code}` }, { cause: error });
  }
}
