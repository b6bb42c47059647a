import type { ByteAutomaton, ByteEdge } from '../grammar-node.js';
import { type ByteRanges, utf8Ranges } from '../utf8-ranges.js';
import { lastPoint } from './parse-regex.js';
import type { TextAutomaton, TextState } from './text-automaton.js';

interface Draft {
  isFinal: boolean;
  readonly edges: ByteEdge[];
  isAnyTail?: boolean;
}

const quote = 0x22;
const backslash = 0x5c;
const shortEscapes: Readonly<Record<number, string>> = { 8: 'b', 9: 't', 10: 'n', 12: 'f', 13: 'r', 34: '"', 92: '\\' };

/** Texts as their own bytes. */
export function encodePlain({ states }: TextAutomaton): ByteAutomaton {
  const writer = new ByteWriter(states);
  for (const [id, { edges }] of states.entries()) {
    for (const { low, high, target } of edges) writer.points(id, low, high, target);
  }
  return writer;
}

/**
 * Texts as the inside of a JSON string with its closing quote: every character as itself where JSON allows that, else by
 * its short escape or, for other control characters, `\u00` and two digits.
 */
export function encodeInString({ states }: TextAutomaton): ByteAutomaton {
  const writer = new ByteWriter(states.map((state) => ({ ...state, isFinal: false })));
  const closed = writer.state();
  writer.states[closed]!.isFinal = true;
  for (const [id, state] of states.entries()) {
    if (isUniversal(state, id)) {
      writer.states[id]!.isAnyTail = true;
      continue;
    }
    if (state.isFinal) writer.edge(id, quote, quote, closed);
    for (const { low, high, target } of state.edges) {
      const from = Math.max(low, 0x20);
      for (const [a, b] of [
        [from, Math.min(high, quote - 1)],
        [Math.max(from, quote + 1), Math.min(high, backslash - 1)],
        [Math.max(from, backslash + 1), high],
      ] as const) {
        writer.points(id, a, b, target);
      }
      for (let point = low; point <= Math.min(high, backslash); point++) {
        if (point < 0x20 || point === quote || point === backslash) writer.escape(id, point, target);
      }
    }
  }
  return writer;
}

/** From here on any text is admitted. */
const isUniversal = ({ isFinal, edges }: TextState, id: number): boolean =>
  isFinal && edges.length === 1 && edges[0]!.target === id && edges[0]!.low === 0 && edges[0]!.high === lastPoint;

class ByteWriter implements ByteAutomaton {
  readonly states: Draft[];
  /** States that read the rest of an encoding on the way to a target: many encodings end alike. */
  readonly #tails = new Map<string, number>();

  constructor(states: readonly TextState[]) {
    this.states = states.map(({ isFinal }) => ({ isFinal, edges: [] }));
  }

  state(): number {
    return this.states.push({ isFinal: false, edges: [] }) - 1;
  }

  edge(from: number, low: number, high: number, target: number): void {
    this.states[from]!.edges.push({ low, high, target });
  }

  points(from: number, low: number, high: number, target: number): void {
    for (const [first, ...rest] of utf8Ranges(low, high))
      this.edge(from, first![0], first![1], this.#tail(rest, target));
  }

  escape(from: number, point: number, target: number): void {
    const short = shortEscapes[point];
    if (short) {
      this.edge(from, backslash, backslash, this.#tail([only(short.charCodeAt(0))], target));
      return;
    }
    const digits = point.toString(16).padStart(4, '0');
    for (const spelled of new Set([digits, digits.toUpperCase()])) {
      this.edge(
        from,
        backslash,
        backslash,
        this.#tail(
          [...`u${spelled}`].map((char) => only(char.charCodeAt(0))),
          target,
        ),
      );
    }
  }

  #tail(ranges: ByteRanges, target: number): number {
    const [first, ...rest] = ranges;
    if (!first) return target;
    const key = `${ranges.join(' ')}>${target}`;
    const known = this.#tails.get(key);
    if (known !== undefined) return known;
    const made = this.state();
    this.#tails.set(key, made);
    this.edge(made, first[0], first[1], this.#tail(rest, target));
    return made;
  }
}

const only = (byte: number): readonly [number, number] => [byte, byte];
