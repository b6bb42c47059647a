import { fallbackByte } from './bpe.js';
import { spelledBytes } from './byte-alphabet.js';
import type { JsonReader } from './json-reader.js';
import { readPattern } from './read-pattern.js';

/**
 * How token spellings become bytes. Every decoder that is supported works token by token, apart from spaces dropped at the
 * very start; so text can be streamed, and a streamed text equals a whole one.
 */
export interface TokenDecoder {
  bytesOf(token: string): Uint8Array;
  readonly leadingSpaces: number;
}

interface Steps {
  byteLevel: boolean;
  byteFallback: boolean;
  fused: boolean;
  leadingSpaces: number;
  readonly rewrites: ((token: string) => string)[];
}

const supported = ['ByteLevel', 'ByteFallback', 'Fuse', 'Replace', 'Strip', 'Metaspace', 'Sequence'] as const;

const utf8 = new TextEncoder();

export function readTokenDecoder(part: JsonReader): TokenDecoder {
  const steps: Steps = { byteLevel: false, byteFallback: false, fused: false, leadingSpaces: 0, rewrites: [] };
  collect(part, steps, 0);
  return makeTokenDecoder(steps);
}

/** The decoder of a byte-level vocabulary. */
export const byteLevelDecoder = (): TokenDecoder =>
  makeTokenDecoder({ byteLevel: true, byteFallback: false, fused: false, leadingSpaces: 0, rewrites: [] });

/** The decoder of a SentencePiece vocabulary. */
export const sentencePieceDecoder = (leadingSpaces: number): TokenDecoder =>
  makeTokenDecoder({
    byteLevel: false,
    byteFallback: true,
    fused: true,
    leadingSpaces,
    rewrites: [(token) => token.replaceAll('▁', ' ')],
  });

function makeTokenDecoder(steps: Steps): TokenDecoder {
  return {
    leadingSpaces: steps.leadingSpaces,
    bytesOf(token) {
      const byte = steps.byteFallback ? fallbackByte(token) : null;
      if (byte !== null) return Uint8Array.of(byte);
      const rewritten = steps.rewrites.reduce((text, rewrite) => rewrite(text), token);
      return (steps.byteLevel ? spelledBytes(rewritten) : null) ?? utf8.encode(rewritten);
    },
  };
}

function collect(part: JsonReader, steps: Steps, depth: number): void {
  const type = part.string('type');
  switch (type) {
    case 'ByteLevel':
      steps.byteLevel = true;
      return;
    case 'ByteFallback':
      steps.byteFallback = true;
      return;
    case 'Fuse':
      steps.fused = true;
      return;
    case 'Replace': {
      if (steps.fused) throw part.invalid('rewrites text after Fuse; rewriting is supported token by token only');
      const pattern = readPattern(part, 'pattern');
      const content = part.string('content');
      steps.rewrites.push((token) => token.replace(pattern, () => content));
      return;
    }
    case 'Strip':
      collectStrip(part, steps);
      return;
    case 'Metaspace': {
      const mark = part.string('replacement', '▁');
      const prepends = part.string('prepend_scheme', part.boolean('add_prefix_space', true) ? 'always' : 'never');
      steps.rewrites.push((token) => token.replaceAll(mark, ' '));
      if (prepends !== 'never') steps.leadingSpaces = 1;
      return;
    }
    case 'Sequence':
      if (depth > 16) throw part.invalid('is nested too deep');
      for (const step of part.objects('decoders')) collect(step, steps, depth + 1);
      return;
    default:
      throw part.unsupported('type', supported);
  }
}

function collectStrip(part: JsonReader, steps: Steps): void {
  const content = part.string('content', ' ');
  const start = part.integer('start', 0);
  const stop = part.integer('stop', 0);
  if (stop > 0) throw part.unsupported('stop', ['0']);
  if (start === 0) return;
  if (steps.fused) {
    // What was fused is one text: only its very start can be stripped.
    if (content !== ' ') throw part.unsupported('content', ["' '"]);
    steps.leadingSpaces = start;
    return;
  }
  steps.rewrites.push((token) => {
    let at = 0;
    while (at < start && content !== '' && token.startsWith(content, at * content.length)) at++;
    return token.slice(at * content.length);
  });
}
