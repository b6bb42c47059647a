import { CortexError } from '@helexa/core';
import test from 'ava';
import fc from 'fast-check';
import { walkJson } from './walk-json.js';

/** The fields of the outermost object as they are told; undefined when the body is refused. */
const fieldsOf = (text: string): [string, unknown][] | undefined => {
  const body = Buffer.from(text);
  const fields: [string, unknown][] = [];
  try {
    walkJson(body, (key, start, end) => fields.push([key, JSON.parse(body.toString('utf8', start, end))]));
    return fields;
  } catch (error) {
    if (CortexError.isInstance(error)) return undefined;
    throw error;
  }
};

test('walkJson tells every field of the outermost object, whatever is in it', (t) => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(3), (value, space) => {
      const text = JSON.stringify(value, null, space);
      t.deepEqual(fieldsOf(text), Object.entries(JSON.parse(text) as object));
    }),
    { seed: 9, numRuns: 300 },
  );
});

test('walkJson refuses what JSON.parse refuses, but for what is inside of a string', (t) => {
  const isJson = (text: string): boolean => {
    try {
      JSON.parse(text);
      return true;
    } catch {
      return false;
    }
  };
  const token = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"\\""',
    '"\\\\"',
    '1',
    '-0.5e3',
    '01',
    'true',
    'nul',
    ' ',
  );
  const mangled = fc
    .tuple(fc.jsonValue(), fc.nat(60), token)
    .map(([value, at, put]) => JSON.stringify(value).slice(0, at) + put + JSON.stringify(value).slice(at + 1));
  const tokens = fc.array(token, { maxLength: 9 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(
      fc.oneof(
        tokens,
        mangled.filter((text) => !text.includes('\\')),
      ),
      (text) => {
        t.is(fieldsOf(text) !== undefined, isJson(text), text);
      },
    ),
    { seed: 10, numRuns: 2000 },
  );
});

test('walkJson takes a byte order mark, tells a key twice, and refuses what is not UTF-8', (t) => {
  t.deepEqual(fieldsOf('\ufeff{"a":1,"a":[2]}'), [
    ['a', 1],
    ['a', [2]],
  ]);
  t.throws(() => walkJson(Buffer.from([0x22, 0xff, 0x22]), () => {}), { message: /not UTF-8/ });
  t.throws(() => walkJson(Buffer.alloc(0), () => {}), { message: /empty/ });
});

test('walkJson finds the end of a string wherever its escapes lie, however long it is', (t) => {
  const piece = fc.constantFrom('"', '\\', '\\"', 'x', 'x'.repeat(47), 'x'.repeat(48), 'x'.repeat(300), 'ü€😀');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.array(piece, { maxLength: 4 }), (value, key) => {
      const whole = { [key.join('')]: value.join(''), last: [value.join('')] };
      t.deepEqual(fieldsOf(JSON.stringify(whole)), Object.entries(whole));
    }),
    { seed: 3, numRuns: 500 },
  );
  for (const open of ['{"a', '{"a":"', `{"a":"${'x'.repeat(100)}`, '{"a":"\\"', `{"a":"${'x'.repeat(60)}\\"}`]) {
    t.is(fieldsOf(open), undefined, open);
  }
});
