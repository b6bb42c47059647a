import test from 'ava';
import fc from 'fast-check';
import { spliceModel } from './splice-model.js';

const splice = (text: string): string => spliceModel(Buffer.from(text), 'org/"new"').toString();

test('spliceModel changes the value of the outermost key and not one other byte', (t) => {
  t.is(splice('{"model":"x"}'), '{"model":"org/\\"new\\""}');
  t.is(
    splice(' {"a" : {"model":"x"},\n"model" :\t"x" ,"b":["model","x"]} '),
    ' {"a" : {"model":"x"},\n"model" :\t"org/\\"new\\"" ,"b":["model","x"]} ',
  );
  t.is(splice('{"x":"\\"model\\":\\"x\\"","model":"y"}'), '{"x":"\\"model\\":\\"x\\"","model":"org/\\"new\\""}');
});

test('spliceModel misses no spelling of the key, and of two keys neither', (t) => {
  t.is(splice('{"mod\\u0065l":"x"}'), '{"mod\\u0065l":"org/\\"new\\""}');
  t.is(splice('{"model":"x","model":"y"}'), '{"model":"org/\\"new\\"","model":"org/\\"new\\""}');
});

test('spliceModel: what is read from the result is what was there, with another model', (t) => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.string(), fc.string(), (rest, before, after) => {
      const body = Buffer.from(JSON.stringify({ ...rest, model: before }, null, 1));
      const read: unknown = JSON.parse(spliceModel(body, after).toString());
      t.deepEqual(read, JSON.parse(JSON.stringify({ ...rest, model: after })));
    }),
    { seed: 7 },
  );
});
