import { isRecord } from '../../text/json.js';
import {
  type ByteState,
  byteRange,
  choice,
  type GrammarNode,
  literal,
  repeat,
  rule,
  sequence,
} from '../grammar-node.js';

/** Most characters of indentation at the beginning of a line. */
const maxIndentation = 64;

/**
 * Names of the rules that every JSON grammar has. White space stands after `{`, `[`, `,` and before `}`, `]`: none, one
 * space, or one line end with indentation; after `:` there is none or one space; elsewhere there is none. So a model cannot
 * write white space for ever.
 */
export const jsonRules = {
  space: 'json space',
  value: 'json value',
  object: 'json object',
  array: 'json array',
  string: 'json string',
  number: 'json number',
} as const;

export const space = rule(jsonRules.space);
export const comma = sequence(literal(','), space);
const afterColon = choice(literal(''), literal(' '));

/** A string of so many characters. */
export const stringNode = (min: number, max: number | null): GrammarNode =>
  sequence(literal('"'), { kind: 'characters', min, max });

/** `"key": value`, where the key is a node that ends with its closing quote. */
export const memberNode = (key: GrammarNode, value: GrammarNode): GrammarNode =>
  sequence(key, literal(':'), afterColon, value);

export const keyNode = (key: string): GrammarNode => literal(JSON.stringify(key));

/** So many equal items between brackets. */
export function listNode(open: string, item: GrammarNode, close: string, min: number, max: number | null): GrammarNode {
  const none = sequence(literal(open), space, literal(close));
  if (max === 0) return none;
  const more = repeat(sequence(comma, item), Math.max(0, min - 1), max === null ? null : max - 1);
  const some = sequence(literal(open), space, item, more, space, literal(close));
  return min === 0 ? choice(none, some) : some;
}

/** One value and no other: numbers and strings as JSON.stringify writes them, objects in the order of their members. */
export function constantNode(value: unknown): GrammarNode {
  if (Array.isArray(value)) return closedNode('[', value.map(constantNode), ']');
  if (isRecord(value)) {
    const members = Object.entries(value).map(([key, each]) => memberNode(keyNode(key), constantNode(each)));
    return closedNode('{', members, '}');
  }
  return literal(JSON.stringify(value));
}

function closedNode(open: string, parts: readonly GrammarNode[], close: string): GrammarNode {
  const listed = parts.flatMap((part, index) => (index === 0 ? [part] : [comma, part]));
  return sequence(literal(open), space, ...listed, ...(parts.length > 0 ? [space] : []), literal(close));
}

const digit = byteRange(0x30, 0x39);
const oneToNine = byteRange(0x31, 0x39);
/** Longer than any number that is worth a digit more, and short enough that every one is finite. */
const whole = choice(literal('0'), sequence(oneToNine, repeat(digit, 0, 20)));
const fraction = sequence(literal('.'), repeat(digit, 1, 24));
const power = choice(
  sequence(
    repeat(literal('+'), 0, 1),
    choice(
      repeat(digit, 1, 2),
      sequence(byteRange(0x31, 0x32), digit, digit),
      sequence(literal('30'), byteRange(0x30, 0x37)),
    ),
  ),
  sequence(literal('-'), repeat(digit, 1, 3)),
);
const scientific = sequence(oneToNine, repeat(fraction, 0, 1), choice(literal('e'), literal('E')), power);

/** Any number that a float64 holds, in the spellings that JSON.stringify uses and some more. */
const number = sequence(repeat(literal('-'), 0, 1), choice(sequence(whole, repeat(fraction, 0, 1)), scientific));

/** Any integer of up to 19 digits, without fraction or exponent. */
export const integerNode = sequence(
  repeat(literal('-'), 0, 1),
  choice(literal('0'), sequence(oneToNine, repeat(digit, 0, 18))),
);

function spaceStates(): ByteState[] {
  const blanks = (target: number) => [
    { low: 0x20, high: 0x20, target },
    { low: 0x09, high: 0x09, target },
  ];
  const start = [
    { low: 0x20, high: 0x20, target: 1 },
    { low: 0x0a, high: 0x0a, target: 2 },
  ];
  return [
    { isFinal: true, edges: start },
    { isFinal: true, edges: [] },
    ...Array.from({ length: maxIndentation + 1 }, (_, index) => ({
      isFinal: true,
      edges: index < maxIndentation ? blanks(index + 3) : [],
    })),
  ];
}

/** Rules that any JSON grammar refers to. */
export function jsonRuleNodes(): Map<string, GrammarNode> {
  const value = rule(jsonRules.value);
  const anyMember = memberNode(rule(jsonRules.string), value);
  return new Map<string, GrammarNode>([
    [jsonRules.space, { kind: 'automaton', automaton: { states: spaceStates() } }],
    [jsonRules.string, stringNode(0, null)],
    [jsonRules.number, number],
    [jsonRules.object, listNode('{', anyMember, '}', 0, null)],
    [jsonRules.array, listNode('[', value, ']', 0, null)],
    [
      jsonRules.value,
      choice(
        rule(jsonRules.object),
        rule(jsonRules.array),
        rule(jsonRules.string),
        rule(jsonRules.number),
        literal('true'),
        literal('false'),
        literal('null'),
      ),
    ],
  ]);
}
