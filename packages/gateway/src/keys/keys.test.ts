import { createHash } from 'node:crypto';
import { type CortexError, gatewayConfigSchema } from '@helexa/core';
import test from 'ava';
import { checkScope, KeyRing } from './key-ring.js';

const ringOf = (keys: readonly object[], require_auth = false): KeyRing =>
  new KeyRing(gatewayConfigSchema.parse({ entitlements: { require_auth, keys } }).entitlements);

const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as CortexError).code;
  }
};

const someone = { key: 'sk-someone', account_id: 'someone', key_id: 'laptop' };

test('KeyRing finds a key in either header, and one that only its hash was given of', (t) => {
  const key = `sha256:${createHash('sha256').update('sk-secret').digest('hex')}`;
  const ring = ringOf([someone, { key, account_id: 'other' }]);
  t.is(ring.resolve({ authorization: 'bearer sk-someone' })?.keyId, 'laptop');
  t.is(ring.resolve({ 'x-api-key': 'sk-secret' })?.keyId, 'other');
});

test('KeyRing serves unknown keys as nobody, unless somebody has to be named', (t) => {
  const open = ringOf([someone]);
  t.is(open.resolve({ authorization: 'Bearer not-needed' }), undefined);
  t.is(open.resolve({}), undefined);
  const closed = ringOf([someone], true);
  for (const headers of [{}, { authorization: 'Bearer not-needed' }, { authorization: 'Basic sk-someone' }]) {
    t.is(
      codeOf(() => closed.resolve(headers)),
      'invalid_api_key',
    );
  }
  t.is(closed.resolve({ authorization: 'Bearer sk-someone' })?.accountId, 'someone');
});

test('KeyRing keeps admin and inference apart', (t) => {
  const ring = ringOf([someone, { key: 'sk-admin-1', account_id: 'root', admin: true }]);
  const admin = ring.resolveAdmin({ authorization: 'Bearer sk-admin-1' });
  t.is(
    codeOf(() => checkScope(admin, 'm', 'm')),
    'key_not_allowed',
  );
  t.is(
    codeOf(() => ring.resolveAdmin({ authorization: 'Bearer sk-someone' })),
    'key_not_allowed',
  );
  t.is(
    codeOf(() => ring.resolveAdmin({})),
    'invalid_api_key',
  );
});

test('checkScope takes a model by its id or by the alias that was asked for', (t) => {
  const principal = ringOf([{ ...someone, allowed_models: ['org/m'] }]).resolve({ 'x-api-key': 'sk-someone' });
  t.is(
    codeOf(() => checkScope(principal, 'alias', 'org/m')),
    undefined,
  );
  t.is(
    codeOf(() => checkScope(principal, 'org/n', 'org/n')),
    'key_not_allowed',
  );
  t.is(
    codeOf(() => checkScope(undefined, 'org/n', 'org/n')),
    undefined,
  );
});
