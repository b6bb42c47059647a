import type { JsonReader } from './json-reader.js';
import { compilePattern, literalPattern } from './pattern.js';
import { readPattern } from './read-pattern.js';

/** Cuts stretches of text into words; `first` tells whether the stretch begins the input. */
export type Splitter = (text: string, first: boolean) => readonly string[];

export interface PreTokeniser {
  readonly splitters: readonly Splitter[];
  /** Words are spelled in the byte alphabet before they are merged. */
  readonly byteLevel: boolean;
}

const behaviours = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const;
type Behaviour = (typeof behaviours)[number];

export const gpt2Pattern = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const supported = [
  'ByteLevel',
  'Split',
  'Digits',
  'Punctuation',
  'Whitespace',
  'WhitespaceSplit',
  'Metaspace',
  'Sequence',
] as const;

/** Builds the pre-tokeniser that a tokenizer.json describes. */
export function readPreTokeniser(part: JsonReader, depth = 0): PreTokeniser {
  const type = part.string('type');
  switch (type) {
    case 'ByteLevel':
      return byteLevelSplitter(part);
    case 'Split':
      return splitBy(readPattern(part, 'pattern'), readBehaviour(part, 'behavior'), part.boolean('invert', false));
    case 'Digits':
      return splitBy(/\p{N}/gu, part.boolean('individual_digits', false) ? 'Isolated' : 'Contiguous', false);
    case 'Punctuation':
      return splitBy(
        /[\p{P}!-/:-@[-`{-~]/gu,
        part.has('behavior') ? readBehaviour(part, 'behavior') : 'Isolated',
        false,
      );
    case 'Whitespace':
      return splitBy(compilePattern('\\w+|[^\\w\\s]+', part.file), 'Removed', true);
    case 'WhitespaceSplit':
      return splitBy(/\p{White_Space}+/gu, 'Removed', false);
    case 'Metaspace':
      return metaspace(part);
    case 'Sequence': {
      if (depth > 16) throw part.invalid('is nested too deep');
      const steps = part.objects('pretokenizers').map((step) => readPreTokeniser(step, depth + 1));
      if (steps.slice(0, -1).some((step) => step.byteLevel)) {
        throw part.invalid('has a ByteLevel step that is not the last');
      }
      return {
        splitters: steps.flatMap((step) => step.splitters),
        byteLevel: steps.at(-1)?.byteLevel ?? false,
      };
    }
    default:
      throw part.unsupported('type', supported);
  }
}

/** The splitter of one pattern, every match a word of its own and the text between matches too. */
export function splitBy(pattern: RegExp, behaviour: Behaviour, invert: boolean): PreTokeniser {
  return { splitters: [(text) => splitText(text, pattern, behaviour, invert)], byteLevel: false };
}

function readBehaviour(part: JsonReader, key: string): Behaviour {
  const name = part.string(key);
  const found = behaviours.find((behaviour) => behaviour.toLowerCase() === name.replaceAll('_', '').toLowerCase());
  if (found === undefined) throw part.unsupported(key, behaviours);
  return found;
}

function byteLevelSplitter(part: JsonReader): PreTokeniser {
  const splitters: Splitter[] = [];
  if (part.boolean('add_prefix_space', true)) {
    splitters.push((text) => [text.startsWith(' ') ? text : ` ${text}`]);
  }
  if (part.boolean('use_regex', true)) {
    splitters.push(...splitBy(compilePattern(gpt2Pattern, part.file), 'Isolated', false).splitters);
  }
  return { splitters, byteLevel: true };
}

function metaspace(part: JsonReader): PreTokeniser {
  const mark = part.string('replacement', '▁');
  const legacy = part.boolean('add_prefix_space', true) ? 'always' : 'never';
  const scheme = part.string('prepend_scheme', legacy);
  if (!['always', 'first', 'never'].includes(scheme)) {
    throw part.unsupported('prepend_scheme', ['always', 'first', 'never']);
  }
  const split = part.boolean('split', true);
  const pattern = literalPattern(mark);
  const splitter: Splitter = (text, first) => {
    let marked = text.replaceAll(' ', mark);
    if ((scheme === 'always' || (scheme === 'first' && first)) && !marked.startsWith(mark)) marked = mark + marked;
    return split ? splitText(marked, pattern, 'MergedWithNext', false) : [marked];
  };
  return { splitters: [splitter], byteLevel: false };
}

interface Span {
  readonly text: string;
  readonly isMatch: boolean;
}

function splitText(text: string, pattern: RegExp, behaviour: Behaviour, invert: boolean): readonly string[] {
  if ((behaviour === 'Isolated' && !invert) || (behaviour === 'Removed' && invert)) {
    const matches = text.match(pattern) ?? [];
    let matched = 0;
    for (const match of matches) matched += match.length;
    if (behaviour === 'Removed') return matches.filter((match) => match !== '');
    // Nearly every pattern covers all of the text: then the matches are the words.
    if (matched === text.length) return matches.filter((match) => match !== '');
  }
  const spans = spansOf(text, pattern, invert);
  switch (behaviour) {
    case 'Removed':
      return spans.filter((span) => !span.isMatch).map((span) => span.text);
    case 'Isolated':
      return spans.map((span) => span.text);
    case 'Contiguous':
      return joinSpans(spans, (previous, span) => previous.isMatch === span.isMatch);
    case 'MergedWithPrevious':
      return joinSpans(spans, (previous, span) => span.isMatch && !previous.isMatch);
    case 'MergedWithNext':
      return joinSpans(spans, (previous, span) => previous.isMatch && !span.isMatch);
  }
}

function spansOf(text: string, pattern: RegExp, invert: boolean): Span[] {
  const spans: Span[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    if (match[0] === '') continue;
    if (match.index > end) spans.push({ text: text.slice(end, match.index), isMatch: invert });
    spans.push({ text: match[0], isMatch: !invert });
    end = match.index + match[0].length;
  }
  if (end < text.length) spans.push({ text: text.slice(end), isMatch: invert });
  return spans;
}

function joinSpans(spans: readonly Span[], joins: (previous: Span, span: Span) => boolean): string[] {
  const words: string[] = [];
  let previous: Span | null = null;
  for (const span of spans) {
    if (previous !== null && joins(previous, span)) words[words.length - 1] += span.text;
    else words.push(span.text);
    previous = span;
  }
  return words;
}
