/** Code points from the first to the second, both included. */
export type PointRange = readonly [low: number, high: number];

/** A regular expression as a tree over code points. */
export type RegexNode =
  | { readonly kind: 'points'; readonly ranges: readonly PointRange[] }
  | { readonly kind: 'sequence'; readonly parts: readonly RegexNode[] }
  | { readonly kind: 'choice'; readonly options: readonly RegexNode[] }
  | { readonly kind: 'repeat'; readonly body: RegexNode; readonly min: number; readonly max: number | null }
  | { readonly kind: 'start' }
  | { readonly kind: 'end' };

export const lastPoint = 0x10ffff;

const digit: readonly PointRange[] = [[0x30, 0x39]];
const word: readonly PointRange[] = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
const space: readonly PointRange[] = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
const lineEnds: readonly PointRange[] = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
];
const classes: Readonly<Record<string, readonly PointRange[]>> = { d: digit, w: word, s: space };
const controls: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, '0': 0 };

/** Everything but these ranges. */
export function invertRanges(ranges: readonly PointRange[]): PointRange[] {
  const inverted: PointRange[] = [];
  let next = 0;
  for (const [low, high] of [...ranges].sort((a, b) => a[0] - b[0])) {
    if (low > next) inverted.push([next, low - 1]);
    next = Math.max(next, high + 1);
  }
  if (next <= lastPoint) inverted.push([next, lastPoint]);
  return inverted;
}

/** Throws the error that says why something is not read, with this reason. */
export type Refuse = (reason: string) => never;

/** Reads an expression as JavaScript reads it with the flag `u`; what no finite automaton can do is refused. */
export const parseRegex = (source: string, refuse: Refuse): RegexNode => new RegexParser(source, refuse).parse();

const maxDepth = 200;

class RegexParser {
  readonly #points: readonly string[];
  readonly #refuse: Refuse;
  #at = 0;
  #depth = 0;

  constructor(source: string, refuse: Refuse) {
    this.#points = [...source];
    this.#refuse = refuse;
  }

  parse(): RegexNode {
    const node = this.#choice();
    if (this.#at < this.#points.length) this.#stop("an unmatched ')'");
    return node;
  }

  #stop(what: string): never {
    return this.#refuse(`it has ${what} at character ${this.#at + 1}`);
  }

  #peek(): string | undefined {
    return this.#points[this.#at];
  }

  #take(text: string): boolean {
    const points = [...text];
    if (points.some((point, index) => this.#points[this.#at + index] !== point)) return false;
    this.#at += points.length;
    return true;
  }

  #choice(): RegexNode {
    if (++this.#depth > maxDepth) this.#stop('groups nested too deep');
    const options = [this.#sequence()];
    while (this.#take('|')) options.push(this.#sequence());
    this.#depth--;
    return options.length === 1 ? options[0]! : { kind: 'choice', options };
  }

  #sequence(): RegexNode {
    const parts: RegexNode[] = [];
    for (let next = this.#peek(); next !== undefined && next !== '|' && next !== ')'; next = this.#peek()) {
      parts.push(this.#quantified());
    }
    return { kind: 'sequence', parts };
  }

  #quantified(): RegexNode {
    const body = this.#atom();
    const bounds = this.#quantifier();
    if (!bounds) return body;
    if (body.kind === 'start' || body.kind === 'end') this.#stop('a repeated anchor');
    this.#take('?');
    return { kind: 'repeat', body, ...bounds };
  }

  #quantifier(): { readonly min: number; readonly max: number | null } | null {
    if (this.#take('*')) return { min: 0, max: null };
    if (this.#take('+')) return { min: 1, max: null };
    if (this.#take('?')) return { min: 0, max: 1 };
    if (this.#peek() !== '{') return null;
    const rest = this.#points.slice(this.#at, this.#at + 24).join('');
    const found = /^\{(\d{1,9})(,(\d{0,9}))?\}/.exec(rest);
    if (!found) this.#stop("a '{' that is no repetition");
    this.#at += found[0].length;
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === '' ? null : Number(found[3]);
    if (max !== null && max < min) this.#stop('a repetition with its bounds the wrong way round');
    return { min, max };
  }

  #atom(): RegexNode {
    const char = this.#points[this.#at++]!;
    switch (char) {
      case '^':
        return { kind: 'start' };
      case '$':
        return { kind: 'end' };
      case '.':
        return { kind: 'points', ranges: invertRanges(lineEnds) };
      case '[':
        return { kind: 'points', ranges: this.#class() };
      case '(':
        return this.#group();
      case '\\':
        return { kind: 'points', ranges: this.#escape(false) };
      case '*':
      case '+':
      case '?':
      case '{':
        this.#at--;
        return this.#stop(`'${char}' with nothing to repeat`);
      default:
        return { kind: 'points', ranges: [pointOf(char)] };
    }
  }

  #group(): RegexNode {
    if (this.#take('?')) {
      const isNamed = this.#peek() === '<' && !['=', '!'].includes(this.#points[this.#at + 1] ?? '');
      if (isNamed) while (this.#at < this.#points.length && !this.#take('>')) this.#at++;
      else if (!this.#take(':')) this.#stop('a look-around or modifier, which is not supported');
    }
    const node = this.#choice();
    if (!this.#take(')')) this.#stop('a group that is not closed');
    return node;
  }

  #class(): readonly PointRange[] {
    const isInverted = this.#take('^');
    const ranges: PointRange[] = [];
    while (!this.#take(']')) {
      if (this.#peek() === undefined) this.#stop('a class that is not closed');
      const from = this.#classAtom();
      if (this.#peek() !== '-' || this.#points[this.#at + 1] === ']') {
        ranges.push(...from);
        continue;
      }
      this.#at++;
      const to = this.#classAtom();
      const [low, high] = [from[0]![0], to[0]![1]];
      if (from.length > 1 || to.length > 1 || from[0]![0] !== from[0]![1] || to[0]![0] !== to[0]![1] || low > high) {
        this.#stop('a class range without order');
      }
      ranges.push([low, high]);
    }
    return isInverted ? invertRanges(ranges) : ranges;
  }

  #classAtom(): readonly PointRange[] {
    const char = this.#points[this.#at++];
    if (char === undefined) return this.#stop('a class that is not closed');
    return char === '\\' ? this.#escape(true) : [pointOf(char)];
  }

  #escape(isInClass: boolean): readonly PointRange[] {
    const char = this.#points[this.#at++];
    if (char === undefined) return this.#stop('a backslash at its end');
    if (Object.hasOwn(classes, char)) return classes[char]!;
    const lower = char.toLowerCase();
    if (char !== lower && Object.hasOwn(classes, lower)) return invertRanges(classes[lower]!);
    if (isInClass && char === 'b') return [[8, 8]];
    if (char === '0' && /\d/.test(this.#peek() ?? '')) this.#stop('an octal escape');
    if (Object.hasOwn(controls, char)) return [[controls[char]!, controls[char]!]];
    if (char === 'x') return single(this.#hex(2));
    if (char === 'u') return single(this.#unicode());
    if (char === 'c') {
      const letter = this.#points[this.#at++] ?? '';
      if (!/^[A-Za-z]$/.test(letter)) this.#stop('a control escape without a letter');
      return single(letter.charCodeAt(0) % 32);
    }
    if (/^[1-9k]$/.test(char)) this.#stop('a back-reference, which is not supported');
    if (char === 'b' || char === 'B') this.#stop('a word boundary, which is not supported');
    if (char === 'p' || char === 'P') this.#stop('a Unicode property, which is not supported');
    if (/^[A-Za-z]$/.test(char)) this.#stop(`an unknown escape '\\${char}'`);
    return [pointOf(char)];
  }

  #unicode(): number {
    if (this.#take('{')) {
      let digits = '';
      while (this.#peek() !== undefined && this.#peek() !== '}') digits += this.#points[this.#at++]!;
      if (!this.#take('}') || !/^[0-9a-fA-F]{1,6}$/.test(digits) || Number.parseInt(digits, 16) > lastPoint) {
        this.#stop('a code point escape that is none');
      }
      return Number.parseInt(digits, 16);
    }
    const first = this.#hex(4);
    const isPair = first >= 0xd800 && first <= 0xdbff && this.#peek() === '\\' && this.#points[this.#at + 1] === 'u';
    if (!isPair) return first;
    this.#at += 2;
    const second = this.#hex(4);
    return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
  }

  #hex(length: number): number {
    const digits = this.#points.slice(this.#at, this.#at + length).join('');
    if (digits.length !== length || !/^[0-9a-fA-F]+$/.test(digits)) this.#stop('an escape without its digits');
    this.#at += length;
    return Number.parseInt(digits, 16);
  }
}

const pointOf = (char: string): PointRange => [char.codePointAt(0)!, char.codePointAt(0)!];
const single = (point: number): readonly PointRange[] => [[point, point]];
