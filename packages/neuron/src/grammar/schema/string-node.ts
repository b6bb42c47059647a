import { type GrammarNode, literal, nothing, sequence } from '../grammar-node.js';
import { encodeInString } from '../regex/encode-text.js';
import { parseRegex } from '../regex/parse-regex.js';
import {
  admits,
  anyText,
  automatonOfLength,
  automatonOfRegex,
  automatonOfTexts,
  combine,
  isEmpty,
  type TextAutomaton,
  type TextResult,
  tooLarge,
} from '../regex/text-automaton.js';
import { stringNode } from './json-nodes.js';

/** A condition on a string. */
export interface TextCondition {
  /** A regular expression, or the texts themselves. */
  readonly source: string | readonly string[];
  /** Wanted are the texts that do not meet it. */
  readonly isNegated: boolean;
  readonly refuse: (reason: string) => never;
}

export interface StringBounds {
  readonly min: number;
  readonly max: number | null;
  readonly conditions: readonly TextCondition[];
}

/** A string within bounds. */
export function stringWithin(bounds: StringBounds): GrammarNode {
  const { min, max, conditions } = bounds;
  if (max !== null && max < min) return nothing;
  return conditions.length === 0 ? stringNode(min, max) : insideNode(textsWithin(bounds));
}

/** A string of one of these texts. */
export const insideNode = (texts: TextAutomaton): GrammarNode =>
  isEmpty(texts) ? nothing : sequence(literal('"'), { kind: 'automaton', automaton: encodeInString(texts) });

/** The texts that meet all conditions, of which there is one at least. */
export function textsWithin({ min, max, conditions }: StringBounds): TextAutomaton {
  const texts = conditions.reduce(narrowed, anyText);
  if (min === 0 && max === null) return texts;
  const { refuse } = conditions[0]!;
  const reason = 'together with the bounds on the length it takes too many states';
  return checked(combine(texts, checked(automatonOfLength(min, max), refuse, reason)), refuse, reason);
}

/** What of some texts meets one more condition. */
export function narrowed(texts: TextAutomaton, { source, isNegated, refuse }: TextCondition): TextAutomaton {
  const reason = 'it takes too many states; a simpler one is wanted';
  const found = typeof source === 'string' ? automatonOfRegex(parseRegex(source, refuse)) : automatonOfTexts(source);
  return checked(combine(texts, checked(found, refuse, reason), isNegated), refuse, reason);
}

/** Whether a text meets a condition. */
export const meets = (text: string, condition: TextCondition): boolean => admits(narrowed(anyText, condition), text);

const checked = (result: TextResult, refuse: (reason: string) => never, reason: string): TextAutomaton =>
  result === tooLarge ? refuse(reason) : result;
