import test from 'ava';
import { jsonOfText } from './text-values.js';

const schema = {
  $defs: { colour: { enum: ['red', '7'] }, loop: { $ref: '#/$defs/loop' }, 'a/b': { type: 'integer' } },
};
const value = (text: string, declared?: unknown) => JSON.parse(jsonOfText(text, declared, schema)) as unknown;

test('jsonOfText takes JSON of the declared type and leaves all else as text', (t) => {
  t.is(value('007', { type: 'string' }), '007');
  t.is(value('{"a":1}', { type: 'string' }), '{"a":1}');
  t.is(value(' 42 ', { type: 'integer' }), 42);
  t.is(value('4.5', { type: 'integer' }), 4.5);
  t.is(value('4,5', { type: 'number' }), '4,5');
  t.is(value('0x10', { type: 'number' }), '0x10');
  t.is(value('true', { type: 'boolean' }), true);
  t.is(value('True', { type: 'boolean' }), 'True');
  t.is(value('1', { type: 'boolean' }), '1');
  t.deepEqual(value('[1]', { type: 'array' }), [1]);
  t.deepEqual(value('{"a":', { type: 'object' }), '{"a":');
  t.is(value('null', { type: 'integer' }), 'null');
});

test('jsonOfText tries JSON, then text, where no type is declared', (t) => {
  t.is(value('5'), 5);
  t.is(value('five'), 'five');
  t.deepEqual(value('{"a":null}', {}), { a: null });
});

test('jsonOfText keeps the digits of a number', (t) => {
  t.is(jsonOfText('12345678901234567890', { type: 'integer' }, schema), '12345678901234567890');
});

test('jsonOfText sees types through lists, alternatives and references', (t) => {
  t.is(value('null', { type: ['string', 'null'] }), null);
  t.is(value('5', { type: ['string', 'null'] }), '5');
  t.is(value('5', { anyOf: [{ type: 'integer' }, { type: 'null' }] }), 5);
  t.is(value('7', { $ref: '#/$defs/colour' }), '7');
  t.is(value('7', { allOf: [{ $ref: '#/$defs/colour' }] }), '7');
  t.is(value('7', { $ref: '#/$defs/a~1b' }), 7);
  t.is(value('7', { $ref: '#/$defs/absent' }), 7);
  t.is(value('7', { $ref: '#/$defs/loop' }), 7);
  t.is(value('7', { const: '7' }), '7');
});
