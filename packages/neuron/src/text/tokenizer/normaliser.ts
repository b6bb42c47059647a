import type { JsonReader } from './json-reader.js';
import { readPattern } from './read-pattern.js';

/** Rewrites a stretch of text before it is split. */
export type Normaliser = (text: string) => string;

const supported = [
  'NFC',
  'NFD',
  'NFKC',
  'NFKD',
  'Lowercase',
  'Strip',
  'StripAccents',
  'Prepend',
  'Replace',
  'Sequence',
] as const;

/** Builds the normaliser that a tokenizer.json describes. */
export function readNormaliser(part: JsonReader, depth = 0): Normaliser {
  const type = part.string('type');
  switch (type) {
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return (text) => text.normalize(type);
    case 'Lowercase':
      // Code point by code point: a final sigma is lowered like any other.
      return (text) => (text.includes('Σ') ? [...text].map((c) => c.toLowerCase()).join('') : text.toLowerCase());
    case 'StripAccents':
      return (text) => text.replace(/\p{M}/gu, '');
    case 'Strip': {
      const left = part.boolean('strip_left', true);
      const right = part.boolean('strip_right', true);
      return (text) => {
        const start = left ? text.replace(/^\p{White_Space}+/u, '') : text;
        return right ? stripEnd(start) : start;
      };
    }
    case 'Prepend': {
      const prefix = part.string('prepend');
      return (text) => (text === '' ? text : prefix + text);
    }
    case 'Replace': {
      const pattern = readPattern(part, 'pattern');
      const content = part.string('content');
      return (text) => text.replace(pattern, () => content);
    }
    case 'Sequence': {
      if (depth > 16) throw part.invalid('is nested too deep');
      const steps = part.objects('normalizers').map((step) => readNormaliser(step, depth + 1));
      return (text) => steps.reduce((current, step) => step(current), text);
    }
    default:
      throw part.unsupported('type', supported);
  }
}

/** A pattern anchored at the end would try every run of spaces: quadratic on a text of spaces. */
function stripEnd(text: string): string {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text[end - 1]!)) end--;
  return text.slice(0, end);
}
