import { CortexError } from '@helexa/core';

/**
 * Rewrites a pattern of tokenizer.json, spelled for Oniguruma, as a JavaScript `v` pattern: inline case folding is expanded,
 * possessive and atomic groups become lookahead captures, `\s` and its kin get their Unicode meaning, every literal that
 * is not alphanumeric is written as `\u{...}`.
 *
 * @example compilePattern("(?i:'s)|\\p{L}++", 'tokenizer.json')
 */
export function compilePattern(pattern: string, file: string): RegExp {
  const reader = new PatternReader(pattern, file);
  const { source } = reader.read();
  try {
    return new RegExp(source, 'gv');
  } catch (cause) {
    throw new CortexError(
      'tokenizer_invalid',
      { file, reason: `pattern '${shorten(pattern)}' is not a regular expression` },
      { cause },
    );
  }
}

/** A pattern that matches exactly this text. */
export const literalPattern = (text: string): RegExp => new RegExp([...text].map(escapeLiteral).join(''), 'gv');

const whitespace = '\\p{White_Space}';
const word = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}';

/** Members of a class, as they stand between brackets; a negated one is a nested class. */
const classEscapes: Readonly<Record<string, string>> = {
  d: '\\p{Nd}',
  D: '\\P{Nd}',
  s: whitespace,
  S: '\\P{White_Space}',
  w: word,
  W: `[^${word}]`,
  h: '0-9a-fA-F',
  H: '[^0-9a-fA-F]',
};

const controls: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, a: 7, e: 27, '0': 0 };

const posixClasses: Readonly<Record<string, string>> = {
  alpha: '\\p{Alphabetic}',
  alnum: '\\p{Alphabetic}\\p{Nd}',
  digit: '\\p{Nd}',
  space: whitespace,
  upper: '\\p{Uppercase}',
  lower: '\\p{Lowercase}',
  punct: '\\p{P}',
  word,
  xdigit: '0-9a-fA-F',
  cntrl: '\\p{Cc}',
};

/** Letters that fold to an ASCII letter although they are neither its upper nor its lower case. */
const extraFolds: Readonly<Record<string, string>> = { s: 'ſ', k: '\u212A', å: '\u212B' };

const maxPatternLength = 20_000;
const maxDepth = 100;

interface Piece {
  readonly source: string;
  /** It holds an unbounded repetition or an alternation: repeating it without bound may take exponential time. */
  readonly ambiguous: boolean;
}

class PatternReader {
  readonly #text: readonly string[];
  readonly #pattern: string;
  readonly #file: string;
  #at = 0;
  #depth = 0;
  #ignoreCase = false;
  #captures = 0;

  constructor(pattern: string, file: string) {
    this.#pattern = pattern;
    this.#file = file;
    if (pattern.length > maxPatternLength) throw this.#invalid(`is longer than ${maxPatternLength} characters`);
    this.#text = [...pattern];
  }

  read(): Piece {
    const piece = this.#alternation();
    if (this.#at < this.#text.length) throw this.#invalid(`has an unmatched ')' at ${this.#at}`);
    return piece;
  }

  #alternation(): Piece {
    if (++this.#depth > maxDepth) throw this.#invalid(`is nested more than ${maxDepth} deep`);
    const ignoreCase = this.#ignoreCase;
    const branches: Piece[] = [this.#sequence()];
    while (this.#take('|')) branches.push(this.#sequence());
    this.#ignoreCase = ignoreCase;
    this.#depth--;
    return {
      source: branches.map((b) => b.source).join('|'),
      ambiguous: branches.length > 1 || branches.some((b) => b.ambiguous),
    };
  }

  #sequence(): Piece {
    let source = '';
    let ambiguous = false;
    while (this.#at < this.#text.length && this.#peek() !== '|' && this.#peek() !== ')') {
      const piece = this.#quantified(this.#atom());
      source += piece.source;
      ambiguous ||= piece.ambiguous;
    }
    return { source, ambiguous };
  }

  #quantified(atom: Piece): Piece {
    let piece = atom;
    for (;;) {
      const start = this.#at;
      const quantifier = this.#quantifier();
      if (quantifier === null) return piece;
      if (piece.source === '') throw this.#invalid(`repeats nothing at ${start}`);
      if (piece.ambiguous && quantifier.unbounded) {
        throw this.#unsupported(`an unbounded repetition of an ambiguous group at ${start}`);
      }
      const body = piece === atom ? piece.source : `(?:${piece.source})`;
      let source = body + quantifier.source;
      if (quantifier.possessive) source = this.#atomic(source);
      piece = { source, ambiguous: piece.ambiguous || quantifier.unbounded };
    }
  }

  #quantifier(): { source: string; unbounded: boolean; possessive: boolean } | null {
    const symbol = this.#peek();
    let source: string;
    let unbounded: boolean;
    if (symbol === '*' || symbol === '+' || symbol === '?') {
      this.#at++;
      source = symbol;
      unbounded = symbol !== '?';
    } else {
      const braces = symbol === '{' ? /^\{(\d*)(,?)(\d*)\}/.exec(this.#rest(24)) : null;
      if (braces === null || (braces[1] === '' && braces[3] === '')) return null;
      this.#at += braces[0].length;
      const low = braces[1] === '' ? '0' : braces[1];
      source = `{${low}${braces[2]}${braces[3]}}`;
      unbounded = braces[2] === ',' && braces[3] === '';
    }
    if (this.#take('?')) return { source: `${source}?`, unbounded, possessive: false };
    // After braces Oniguruma reads '+' as a second repetition, which the caller's loop takes.
    if (symbol !== '{' && this.#take('+')) return { source, unbounded, possessive: true };
    return { source, unbounded, possessive: false };
  }

  #atom(): Piece {
    const char = this.#next();
    if (char === '(') return this.#group();
    if (char === '[') return { source: this.#class(), ambiguous: false };
    if (char === '.') return { source: '[^\\n]', ambiguous: false };
    if (char === '^') return { source: '(?<![^\\n])', ambiguous: false };
    if (char === '$') return { source: '(?![^\\n])', ambiguous: false };
    if (char === '\\') return { source: this.#escape(), ambiguous: false };
    if (char === '*' || char === '+' || char === '?') throw this.#invalid(`repeats nothing at ${this.#at - 1}`);
    return { source: this.#literal(char), ambiguous: false };
  }

  #group(): Piece {
    let open = '(?:';
    let atomic = false;
    const ignoreCase = this.#ignoreCase;
    if (this.#take('?')) {
      const look = /^(?:<?[=!])/.exec(this.#rest(2));
      const flags = /^([imsx]*)(?:-([imsx]*))?([:)])/.exec(this.#rest(16));
      if (look !== null) {
        this.#at += look[0].length;
        open = `(?${look[0]}`;
      } else if (this.#take('>')) {
        atomic = true;
      } else if (flags !== null) {
        this.#at += flags[0].length;
        if (/[msx]/.test(`${flags[1]}${flags[2] ?? ''}`)) throw this.#unsupported(`the group flag '${flags[0]}'`);
        if (flags[1]?.includes('i')) this.#ignoreCase = true;
        if (flags[2]?.includes('i')) this.#ignoreCase = false;
        // A bare `(?i)` holds until the enclosing group ends, which restores the flag.
        if (flags[3] === ')') return { source: '', ambiguous: false };
      } else {
        const name = /^P?<(\w+)>/.exec(this.#rest(64));
        if (name === null) throw this.#unsupported(`the group '(?${this.#rest(4)}'`);
        this.#at += name[0].length;
      }
    }
    const body = this.#alternation();
    this.#ignoreCase = ignoreCase;
    if (!this.#take(')')) throw this.#invalid("lacks a ')'");
    return atomic
      ? { source: `(?:${this.#atomic(body.source)})`, ambiguous: body.ambiguous }
      : { source: `${open}${body.source})`, ambiguous: body.ambiguous };
  }

  #class(): string {
    if (++this.#depth > maxDepth) throw this.#invalid(`is nested more than ${maxDepth} deep`);
    const negated = this.#take('^');
    const parts: string[] = [];
    let operand = '';
    for (let first = true; ; first = false) {
      if (this.#at >= this.#text.length) throw this.#invalid("lacks a ']'");
      if (this.#rest(2) === '&&') {
        this.#at += 2;
        parts.push(operand);
        operand = '';
        continue;
      }
      const char = this.#next();
      if (char === ']' && !first) break;
      operand += this.#classItem(char);
    }
    parts.push(operand);
    this.#depth--;
    const body = parts.length === 1 ? parts[0] : parts.map((part) => `[${part}]`).join('&&');
    return `[${negated ? '^' : ''}${body}]`;
  }

  #classItem(char: string): string {
    if (char === '[') {
      const posix = /^:(\^?)(\w+):\]/.exec(this.#rest(16));
      if (posix === null) return this.#class();
      this.#at += posix[0].length;
      const members = posixClasses[posix[2]!];
      if (members === undefined) throw this.#unsupported(`the class '[${posix[0]}'`);
      return posix[1] === '^' ? `[^${members}]` : members;
    }
    if (char === '\\') {
      const kind = this.#peek() ?? '';
      if (Object.hasOwn(classEscapes, kind)) {
        this.#at++;
        return classEscapes[kind]!;
      }
      if (kind === 'p' || kind === 'P') return this.#property();
    }
    const low = char === '\\' ? this.#codePoint() : char.codePointAt(0)!;
    const [dash, after] = [this.#peek(), this.#text[this.#at + 1]];
    if (dash !== '-' || after === undefined || after === ']' || after === '[') return this.#range(low, low);
    this.#at++;
    const end = this.#next();
    if (end === '\\' && (Object.hasOwn(classEscapes, this.#peek() ?? '') || /[pP]/.test(this.#peek() ?? ''))) {
      return `${this.#range(low, low)}\\u{2d}${this.#classItem(end)}`;
    }
    const high = end === '\\' ? this.#codePoint() : end.codePointAt(0)!;
    if (high < low) throw this.#invalid('has a class range that runs backwards');
    return this.#range(low, high);
  }

  #range(low: number, high: number): string {
    const plain = low === high ? escapePoint(low) : `${escapePoint(low)}-${escapePoint(high)}`;
    if (!this.#ignoreCase || high - low > 512) return plain;
    let source = plain;
    for (let point = low; point <= high; point++) {
      for (const fold of foldsOf(String.fromCodePoint(point))) source += escapeLiteral(fold);
    }
    return source;
  }

  #literal(char: string): string {
    const folds = this.#ignoreCase ? foldsOf(char) : [];
    return folds.length === 0 ? escapeLiteral(char) : `[${[char, ...folds].map(escapeLiteral).join('')}]`;
  }

  #escape(): string {
    const kind = this.#peek();
    if (kind === undefined) throw this.#invalid("ends in '\\'");
    if (Object.hasOwn(classEscapes, kind)) {
      this.#at++;
      return `[${classEscapes[kind]}]`;
    }
    if (kind === 'p' || kind === 'P') return `[${this.#property()}]`;
    const anchors: Readonly<Record<string, string>> = {
      A: '(?<![\\s\\S])',
      z: '(?![\\s\\S])',
      Z: '(?=\\n?(?![\\s\\S]))',
      b: `(?:(?<=[${word}])(?![${word}])|(?<![${word}])(?=[${word}]))`,
      B: `(?:(?<=[${word}])(?=[${word}])|(?<![${word}])(?![${word}]))`,
      R: '(?:\\r\\n|[\\n\\v\\f\\r\\u{85}\\u{2028}\\u{2029}])',
    };
    if (Object.hasOwn(anchors, kind)) {
      this.#at++;
      return anchors[kind]!;
    }
    return this.#literal(String.fromCodePoint(this.#codePoint()));
  }

  /** The character that an escape stands for; the backslash is already taken. */
  #codePoint(): number {
    const hex = /^(?:x\{([0-9a-fA-F]{1,8})\}|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4}))/.exec(this.#rest(12));
    if (hex !== null) {
      this.#at += hex[0].length;
      const point = Number.parseInt((hex[1] ?? hex[2] ?? hex[3])!, 16);
      if (point > 0x10ffff) throw this.#invalid('names a character beyond U+10FFFF');
      return point;
    }
    const char = this.#next();
    if (Object.hasOwn(controls, char)) return controls[char]!;
    if (/[\p{L}\p{N}]/u.test(char)) throw this.#unsupported(`the escape '\\${char}'`);
    return char.codePointAt(0)!;
  }

  #property(): string {
    const spelled = /^([pP])(?:\{(\^?)([\w=\- ]+)\}|([A-Z]))/.exec(this.#rest(64));
    if (spelled === null) throw this.#invalid('has a malformed property');
    this.#at += spelled[0].length;
    const negated = (spelled[1] === 'P') !== (spelled[2] === '^');
    const name = (spelled[3] ?? spelled[4])!;
    for (const candidate of [name, `Script=${name}`]) {
      if (isProperty(candidate)) return `\\${negated ? 'P' : 'p'}{${candidate}}`;
    }
    const members = posixClasses[name.toLowerCase()];
    if (members === undefined) throw this.#unsupported(`the property '${name}'`);
    return negated ? `[^${members}]` : members;
  }

  /** JavaScript has no atomic group: a lookahead never gives back what it matched, and its capture is then taken as is. */
  #atomic(source: string): string {
    const name = `atomic${this.#captures++}`;
    return `(?:(?=(?<${name}>${source}))\\k<${name}>)`;
  }

  #peek(): string | undefined {
    return this.#text[this.#at];
  }

  #rest(length: number): string {
    return this.#text.slice(this.#at, this.#at + length).join('');
  }

  #next(): string {
    const char = this.#text[this.#at++];
    if (char === undefined) throw this.#invalid('ends too early');
    return char;
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false;
    this.#at++;
    return true;
  }

  #invalid(reason: string): CortexError {
    return new CortexError('tokenizer_invalid', {
      file: this.#file,
      reason: `pattern '${shorten(this.#pattern)}' ${reason}`,
    });
  }

  #unsupported(what: string): CortexError {
    return new CortexError('tokenizer_unsupported', {
      file: this.#file,
      part: `a pattern's construct`,
      value: what,
      supported: ['groups, classes, properties, lookaround and bounded nesting of repetitions'],
    });
  }
}

const shorten = (pattern: string): string => (pattern.length > 60 ? `${pattern.slice(0, 60)}...` : pattern);

const escapeLiteral = (char: string): string => (/^[0-9A-Za-z]$/.test(char) ? char : escapePoint(char.codePointAt(0)!));

function escapePoint(point: number): string {
  const isAlphanumeric = (point >= 48 && point <= 57) || (point >= 65 && point <= 90) || (point >= 97 && point <= 122);
  return isAlphanumeric ? String.fromCharCode(point) : `\\u{${point.toString(16)}}`;
}

/** Other characters that are the same under simple case folding. */
function foldsOf(char: string): string[] {
  const lower = char.toLowerCase();
  const candidates = [lower, lower.toUpperCase(), extraFolds[lower] ?? ''];
  return [...new Set(candidates)].filter((fold) => fold !== char && [...fold].length === 1);
}

function isProperty(name: string): boolean {
  try {
    new RegExp(`\\p{${name}}`, 'v');
    return true;
  } catch {
    return false;
  }
}
