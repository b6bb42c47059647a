import { choice, type GrammarNode, literal, nothing, sequence } from '../grammar-node.js';
import { encodePlain } from '../regex/encode-text.js';
import {
  combine,
  isEmpty,
  type TextAutomaton,
  type TextEdge,
  type TextState,
  tooLarge,
} from '../regex/text-automaton.js';
import { decimalsBetween } from './decimals-between.js';
import { integerNode, jsonRules } from './json-nodes.js';

export interface NumberBounds {
  readonly isInteger: boolean;
  /** Both included. */
  readonly min: number | null;
  readonly max: number | null;
  readonly multiplesOf: readonly number[];
}

/** Digits of a number with bounds: before the point, and behind it. */
const mostWholeDigits = 19;
const mostFractionDigits = 20;
/** Digits within which a float64 holds every integer, and within which validators that divide find multiples of fractions. */
const exactDigits = 15;
const dividedDigits = 9;
const maxRemainders = 2048;

/** Numbers within bounds, without an exponent. `refuse` is called with what cannot be done. */
export function numberNode(bounds: NumberBounds, refuse: (reason: string) => never): GrammarNode {
  const { isInteger, min, max, multiplesOf } = bounds;
  if (min === null && max === null && multiplesOf.length === 0) {
    return isInteger ? integerNode : { kind: 'rule', name: jsonRules.number };
  }
  const scales = multiplesOf.map((multiple) => scaleOf(multiple, refuse));
  const places = scales.length > 0 ? Math.min(...scales.map((scale) => scale.places)) : mostFractionDigits;
  const fractionDigits = isInteger ? 0 : places;
  const wholeDigits =
    scales.length === 0 ? mostWholeDigits : fractionDigits === 0 ? exactDigits : dividedDigits - fractionDigits;
  const magnitudes = (low: string | null, high: string | null): GrammarNode => {
    let texts = decimalsBetween(low, high, wholeDigits, fractionDigits);
    for (const scale of scales) {
      const both = combine(texts, multiplesText(scale, fractionDigits));
      if (both === tooLarge) return refuse('its multiples within these bounds are too many to tell apart');
      texts = both;
    }
    return isEmpty(texts) ? nothing : { kind: 'automaton', automaton: encodePlain(texts) };
  };
  const isAllNegative = max !== null && max < 0;
  const isAllPositive = min !== null && min >= 0;
  return choice(
    isAllNegative ? nothing : magnitudes(isAllPositive ? plain(min) : null, max === null ? null : plain(max)),
    isAllPositive
      ? nothing
      : sequence(literal('-'), magnitudes(isAllNegative ? plain(-max) : aboveZero, min === null ? null : plain(-min))),
  );
}

/** Zero is written without a sign: the magnitude of a negative number has some digit that is not 0. */
const aboveZero = `0.${'0'.repeat(mostFractionDigits + 1)}1`;

/** The next float64 above, or below: a bound that is itself left out becomes one that is not. */
export const nextUp = (value: number): number => neighbour(value);
export const nextDown = (value: number): number => -neighbour(-value);

function neighbour(value: number): number {
  if (value === 0) return Number.MIN_VALUE;
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigInt64(0);
  view.setBigInt64(0, value > 0 ? bits + 1n : bits - 1n);
  return view.getFloat64(0);
}

/** A number of at least zero in decimal digits, without an exponent. */
function plain(value: number): string {
  const [mantissa, power] = String(Math.abs(value)).split('e') as [string, string | undefined];
  if (power === undefined) return mantissa;
  const [whole, fraction = ''] = mantissa.split('.') as [string, string | undefined];
  const digits = whole + fraction;
  const point = whole.length + Number(power);
  if (point <= 0) return `0.${'0'.repeat(-point)}${digits}`;
  return point >= digits.length ? digits.padEnd(point, '0') : `${digits.slice(0, point)}.${digits.slice(point)}`;
}

interface Scale {
  /** Digits behind the point. */
  readonly places: number;
  /** The multiple in units of the last of them. */
  readonly units: number;
}

function scaleOf(multiple: number, refuse: (reason: string) => never): Scale {
  const [whole, fraction = ''] = plain(multiple).split('.') as [string, string | undefined];
  const units = Number(whole + fraction);
  if (!Number.isSafeInteger(units) || units * (fraction.length + 2) > maxRemainders) {
    return refuse(`${multiple} has too many remainders to follow; at most ${maxRemainders} are followed`);
  }
  return { places: fraction.length, units };
}

const digitPoint = (digit: number): number => 0x30 + digit;
const pointPoint = 0x2e;

/** Digits, with at most so many behind the point, that make a multiple; leading zeros are for others to refuse. */
function multiplesText({ places, units }: Scale, fractionDigits: number): TextAutomaton {
  // State `stage * units + remainder`: stage 0 before the point, stage 1 + n behind it with n digits.
  const states: TextState[] = [];
  const shown = Math.min(places, fractionDigits);
  for (let stage = 0; stage <= shown + 1; stage++) {
    const behind = Math.max(0, stage - 1);
    for (let remainder = 0; remainder < units; remainder++) {
      const edges: TextEdge[] = [];
      if (stage === 0 && shown > 0) edges.push({ low: pointPoint, high: pointPoint, target: units + remainder });
      if (stage === 0 || behind < shown) {
        for (let digit = 0; digit < 10; digit++) {
          const next = (remainder * 10 + digit) % units;
          const target = (stage === 0 ? 0 : stage + 1) * units + next;
          edges.push({ low: digitPoint(digit), high: digitPoint(digit), target });
        }
      }
      const scaled = Number((BigInt(remainder) * 10n ** BigInt(places - behind)) % BigInt(units));
      states.push({ isFinal: stage !== 1 && scaled === 0, edges });
    }
  }
  return { states };
}
