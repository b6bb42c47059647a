import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { CortexError } from '../errors/cortex-error.js';
import { isLoopback } from './address.js';
import { gatewayConfigSchema } from './gateway-config.js';
import { withNamedTokens } from './named-tokens.js';
import { bearerIn, isSameSecret, readSecret } from './secret.js';

const codeOf = async (run: () => unknown): Promise<string | undefined> => {
  try {
    await run();
    return undefined;
  } catch (error) {
    return (error as CortexError).code;
  }
};

test('readSecret takes the token itself, else the one line of its file', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'secret-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, 'token');
  await writeFile(file, 'from-a-file\n');
  t.is(await readSecret({ token_file: file }), 'from-a-file');
  t.is(await readSecret({ token: 'itself', token_file: file }), 'itself');
  t.is(await readSecret({}), undefined);
  await writeFile(file, 'two lines\nin it');
  t.is(await codeOf(() => readSecret({ token_file: file })), 'config_invalid');
  await writeFile(file, '');
  t.is(await codeOf(() => readSecret({ token_file: file })), 'config_invalid');
  t.is(await readSecret({ token_file: file }, { mayBeAbsent: true }), undefined);
  await rm(file);
  t.is(await codeOf(() => readSecret({ token_file: file })), 'config_invalid');
  t.is(await readSecret({ token_file: file }, { mayBeAbsent: true }), undefined);
});

test('isSameSecret and bearerIn take the whole secret of a bearer token', (t) => {
  t.true(isSameSecret('abc', 'abc'));
  for (const other of ['', 'ab', 'abcd', 'abC']) t.false(isSameSecret('abc', other), other);
  t.is(bearerIn('Bearer  abc '), 'abc');
  t.is(bearerIn('bearer abc'), 'abc');
  for (const header of [undefined, 'abc', 'Basic abc', 'Bearer', 'Bearer  ']) t.is(bearerIn(header), undefined);
});

test('isLoopback knows the addresses that only this host reaches', (t) => {
  for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '::1']) t.true(isLoopback(host), host);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.example.com', 'localhost.example.com']) {
    t.false(isLoopback(host), host);
  }
});

test('withNamedTokens reads the tokens that stand in variables, and names the variable that is not set', async (t) => {
  const neurons = [
    { name: 'a', endpoint: 'http://a', token_env: 'A_TOKEN' },
    { name: 'b', endpoint: 'http://b' },
  ];
  const config = gatewayConfigSchema.parse({ neurons });
  t.deepEqual(
    withNamedTokens(config, { A_TOKEN: 'secret-of-a' }).neurons.map(({ token }) => token),
    ['secret-of-a', undefined],
  );
  const error = t.throws(() => withNamedTokens(config, {}));
  t.regex(error?.message ?? '', /'A_TOKEN'.*neuron 'a'/);
});
