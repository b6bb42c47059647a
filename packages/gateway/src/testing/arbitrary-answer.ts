import fc from 'fast-check';
import { type NeuronAnswer, usageOf } from './neuron-answer.js';

const piece = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 });

/** Text cut anywhere: a whole cut into pieces, none of them empty. */
const cut = (text: string, at: readonly number[]): string[] => {
  const marks = [...new Set(at.map((position) => position % Math.max(1, text.length)))].sort((a, b) => a - b);
  return [...marks, text.length]
    .map((end, index) => text.slice(marks[index - 1] ?? 0, end))
    .filter((part) => part !== '');
};

const fragments = fc
  .tuple(
    fc.dictionary(piece, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3, noNullPrototype: true }),
    fc.array(fc.nat(40), { maxLength: 4 }),
  )
  .map(([value, at]) => cut(JSON.stringify(value), at));

const call = fc.record({ name: fc.constantFrom('weather', 'read_file', 'x'), arguments: fragments });

/** Any answer that a neuron can give. */
export const arbitraryAnswer: fc.Arbitrary<NeuronAnswer> = fc
  .record({
    reasoning: fc.array(piece, { maxLength: 3 }),
    text: fc.array(piece, { maxLength: 4 }),
    calls: fc.array(call, { maxLength: 3 }),
    finish: fc.constantFrom('stop' as const, 'length' as const),
    stopString: fc.option(piece),
    usage: fc.option(fc.tuple(fc.nat(999), fc.nat(99), fc.nat(999), fc.nat(9))),
  })
  .map(({ calls, stopString, usage, ...rest }) => ({
    ...rest,
    calls: calls.map((each, index) => ({ id: `call_${index}`, ...each })),
    stopString: rest.finish === 'stop' && calls.length === 0 ? stopString : null,
    usage: usage && usageOf(usage[0], usage[1], Math.min(usage[0], usage[2]), Math.min(usage[1], usage[3])),
  }));
