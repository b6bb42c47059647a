import { readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { CortexError } from '@helexa/core';
import { freePort, makeCertificate } from '@helexa/core/testing';
import test from 'ava';
import { getJson } from './gateway-client.js';

test('getJson brings its token, and checks the certificate against the authority that is named', async (t) => {
  const certificate = await makeCertificate();
  if (!certificate) {
    t.log('openssl is not installed: TLS is not tested on this machine');
    return void t.pass();
  }
  const { folder, certFile, keyFile } = certificate;
  t.teardown(() => rm(folder, { recursive: true }));
  const ca = await readFile(certFile, 'utf8');
  const server = createServer({ cert: ca, key: await readFile(keyFile) }, ({ headers }, response) => {
    response.end(JSON.stringify({ seen: headers.authorization ?? null }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.deepEqual(await getJson('it', url, '/', { token: 'secret', ca }), { seen: 'Bearer secret' });
  const error = await t.throwsAsync(getJson('it', url, '/'), { instanceOf: CortexError });
  t.is(error?.code, 'endpoint_unreachable');
  t.regex(error?.message ?? '', /self-signed/);
});

test('getJson names the address that nothing answers at', async (t) => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const error = await t.throwsAsync(getJson('the gateway', url, '/health'), { instanceOf: CortexError });
  t.regex(error?.message ?? '', new RegExp(`${url}.*ECONNREFUSED`));
});
