import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { freePort } from '@helexa/core/testing';
import test from 'ava';
import { answers } from './answers.js';

test('answers takes any answer for one, a refusal too, and no connection for none', async (t) => {
  const server = createServer((_, response) => response.writeHead(401).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void server.close());
  t.true(await answers(`http://127.0.0.1:${(server.address() as AddressInfo).port}/version`));
  t.false(await answers(`http://127.0.0.1:${await freePort()}/version`));
});
