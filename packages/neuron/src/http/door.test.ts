import { readFile, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { join } from 'node:path';
import { CortexError, neuronConfigSchema } from '@helexa/core';
import { makeCertificate } from '@helexa/core/testing';
import test from 'ava';
import { startTinyNeuron } from '../testing/tiny-neuron.js';
import { checkToken, readDoor } from './door.js';

const token = 'a-shared-secret';

const codeOf = async (run: () => unknown): Promise<string | undefined> => {
  try {
    await run();
    return undefined;
  } catch (error) {
    return (error as CortexError).code;
  }
};

test('readDoor refuses other hosts without a token, unless that is wanted', async (t) => {
  const of = (config: object) => codeOf(() => readDoor(neuronConfigSchema.parse(config)));
  const listen = '0.0.0.0:13131';
  t.is(await of({ listen }), 'listen_without_keys');
  t.is(await of({ listen: '[::]:1' }), 'listen_without_keys');
  t.is(await of({ listen, token }), undefined);
  t.is(await of({ listen, allow_unauthenticated: true }), undefined);
  t.is(await of({ listen: '127.0.0.1:1' }), undefined);
  const error = new CortexError('listen_without_keys', { address: listen, setting: 'listen' });
  t.regex(error.suggestion ?? '', /neuron\.toml/);
});

test('checkToken takes the token of the neuron as a bearer token, and nothing else', async (t) => {
  const code = (authorization?: string) => codeOf(() => checkToken({ token }, authorization));
  t.is(await code(`Bearer ${token}`), undefined);
  for (const wrong of [undefined, '', token, `Basic ${token}`, `Bearer ${token}x`, `Bearer ${token.slice(1)}`]) {
    t.is(await code(wrong), 'invalid_api_key', wrong);
  }
  t.is(await codeOf(() => checkToken({}, undefined)), undefined);
});

test('startNeuron asks for its token on every route', async (t) => {
  const neuron = await startTinyNeuron({ config: { token }, isLoaded: false });
  t.teardown(() => neuron.close());
  for (const path of ['/health', '/models', '/metrics', '/no/such/route']) {
    t.is((await fetch(neuron.url + path)).status, 401, path);
  }
  const post = await fetch(`${neuron.url}/models/load`, { method: 'POST', body: '{"model_id":"tiny"}' });
  t.is(((await post.json()) as { error: { code: string } }).error.code, 'invalid_api_key');
  t.is((await fetch(`${neuron.url}/models`, { headers: { authorization: `Bearer ${token}` } })).status, 200);
});

test('startNeuron speaks HTTPS with its certificate, and refuses a pair that does not belong together', async (t) => {
  const [own, other] = [await makeCertificate(), await makeCertificate()];
  if (!own || !other) {
    t.log('openssl is not installed: TLS is not tested on this machine');
    return void t.pass();
  }
  t.teardown(() => Promise.all([own, other].map(({ folder }) => rm(folder, { recursive: true }))));
  const tls_cert = own.certFile;
  const neuron = await startTinyNeuron({ config: { tls_cert, tls_key: own.keyFile }, isLoaded: false });
  t.teardown(() => neuron.close());
  t.true(neuron.url.startsWith('https://127.0.0.1:'));
  const ca = await readFile(own.certFile);
  const status = await new Promise((resolve, reject) => {
    get(`${neuron.url}/models`, { ca }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on('error', reject);
  });
  t.is(status, 200);
  const door = (config: object) => codeOf(() => readDoor(neuronConfigSchema.parse(config)));
  t.is(await door({ tls_cert, tls_key: other.keyFile }), 'config_invalid');
  const broken = join(own.folder, 'broken.pem');
  await writeFile(broken, 'nothing');
  t.is(await door({ tls_cert: broken, tls_key: own.keyFile }), 'config_invalid');
  t.is(await door({ tls_cert: '/none.pem', tls_key: own.keyFile }), 'config_invalid');
  t.is(await door({ tls_cert }), 'config_invalid');
});
