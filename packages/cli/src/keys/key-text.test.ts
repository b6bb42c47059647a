import { gatewayConfigSchema } from '@helexa/core';
import test from 'ava';
import fc from 'fast-check';
import { parse } from 'smol-toml';
import { withKey, withoutKey } from './key-text.js';

const example = `# The fleet.
[gateway]
listen = "127.0.0.1:0"

# Alice.
[[entitlements.keys]]
key = "sk-alice-1"
account_id = "alice"
allowed_models = [
  "org/a",
]
[entitlements.keys.window]
kind = "rolling"
seconds = 60

# Bob, who leaves soon.
[[entitlements.keys]]
key = "sk-bob-123"
account_id = "bob" # his only one

# How much is logged.
[log]
level = "warn"
`;

const accounts = (text: string): string[] =>
  gatewayConfigSchema.parse(parse(text)).entitlements.keys.map(({ account_id: account }) => account);

test('withoutKey takes one key with its tables, and nothing of its neighbours', (t) => {
  const first = withoutKey(example, 0) as string;
  t.deepEqual(accounts(first), ['bob']);
  t.true(first.includes('# Bob, who leaves soon.\n[[entitlements.keys]]'));
  const second = withoutKey(example, 1) as string;
  t.deepEqual(accounts(second), ['alice']);
  t.true(second.includes('# How much is logged.\n[log]'));
  t.is(withoutKey(example, 2), undefined);
});

test('withKey and withoutKey undo each other, whatever a key is called', (t) => {
  const name = fc.stringMatching(/^[\x21-\x7e]{1,40}$/);
  fc.assert(
    fc.property(name, fc.array(fc.string({ minLength: 1 }), { maxLength: 3 }), fc.nat(), (id, models, cap) => {
      const key = { key: 'sk-someone', account_id: id, key_id: `${id}-1`.slice(0, 128), allowed_models: models };
      const text = withKey(example, { ...key, hard_cap: cap, windowSeconds: 5 });
      const { keys } = gatewayConfigSchema.parse(parse(text)).entitlements;
      t.like(keys[2], { ...key, hard_cap: cap, window: { kind: 'rolling', seconds: 5 } });
      t.is(withoutKey(text, 2)?.trimEnd(), example.trimEnd());
    }),
  );
});
