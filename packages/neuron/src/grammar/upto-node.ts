import type { ByteState, GrammarNode } from './grammar-node.js';

const utf8 = new TextEncoder();

/** How much of a text is matched after each byte: a state for each length, the last for the whole. */
function matchStates(text: string): Int32Array[] {
  const wanted = utf8.encode(text);
  const states: Int32Array[] = [];
  let fallback = 0;
  for (let length = 0; length < wanted.length; length++) {
    const next = length === 0 ? new Int32Array(256) : Int32Array.from(states[fallback]!);
    next[wanted[length]!] = length + 1;
    states.push(next);
    if (length > 0) fallback = states[fallback]![wanted[length]!]!;
  }
  return states;
}

function textStates(text: string, isFinal: (length: number) => boolean, leadsToWhole: boolean): ByteState[] {
  const table = matchStates(text);
  const states = table.map((next, length): ByteState => {
    const edges: { low: number; high: number; target: number }[] = [];
    for (let byte = 0; byte < 256; byte++) {
      const target = next[byte]!;
      if (target === table.length && !leadsToWhole) continue;
      const last = edges.at(-1);
      if (last && last.target === target && last.high + 1 === byte) last.high = byte;
      else edges.push({ low: byte, high: byte, target });
    }
    return { isFinal: isFinal(length), edges };
  });
  return leadsToWhole ? [...states, { isFinal: true, edges: [] }] : states;
}

/** Any bytes up to the first place where a text stands, and that text. */
export const uptoNode = (text: string): GrammarNode => ({
  kind: 'automaton',
  automaton: { states: textStates(text, () => false, true) },
});

/** Any bytes in which a text does not stand. */
export const withoutNode = (text: string): GrammarNode => ({
  kind: 'automaton',
  automaton: { states: textStates(text, () => true, false) },
});
