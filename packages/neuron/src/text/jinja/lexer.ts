import { CortexError } from '@helexa/core';

export type TokenKind =
  | 'text'
  | 'block-begin'
  | 'block-end'
  | 'print-begin'
  | 'print-end'
  | 'name'
  | 'string'
  | 'integer'
  | 'float'
  | 'operator'
  | 'end';

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly line: number;
}

const operators = [
  '**',
  '//',
  '==',
  '!=',
  '>=',
  '<=',
  '+',
  '-',
  '*',
  '/',
  '%',
  '~',
  '[',
  ']',
  '(',
  ')',
  '{',
  '}',
  '>',
  '<',
  '=',
  '.',
  ':',
  '|',
  ',',
  ';',
];

const closers: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/** Cuts a template into tokens, with block trimming and left stripping of blocks on (as chat templates assume). */
export function lexTemplate(template: string, source: string): Token[] {
  return new Lexer(template, source).run();
}

class Lexer {
  readonly #template: string;
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  #lineCountedTo = 0;

  constructor(template: string, source: string) {
    const unix = template.replace(/\r\n|\r/g, '\n');
    // One newline at the very end belongs to the file, not to the text.
    this.#template = unix.endsWith('\n') ? unix.slice(0, -1) : unix;
    this.#source = source;
  }

  run(): Token[] {
    const text = this.#template;
    /** The text before a tag starts at the beginning of a line. */
    let atLineStart = true;
    while (this.#at < text.length) {
      const begin = this.#nextTag();
      const raw = begin < 0 ? text.slice(this.#at) : text.slice(this.#at, begin);
      if (begin < 0) {
        this.#emit('text', raw);
        break;
      }
      const kind = text[begin + 1]!;
      const sign = text[begin + 2] === '-' || text[begin + 2] === '+' ? text[begin + 2]! : '';
      this.#emitData(raw, kind, sign, atLineStart);
      this.#at = begin + 2 + sign.length;
      if (kind === '#') this.#skipComment();
      else if (kind === '{') this.#lexTag('print-begin', 'print-end', '}}');
      else if (!this.#takeRaw()) this.#lexTag('block-begin', 'block-end', '%}');
      atLineStart = text[this.#at - 1] === '\n';
    }
    this.#tokens.push({ kind: 'end', text: '', line: this.#lineAt(text.length) });
    return this.#tokens;
  }

  #nextTag(): number {
    const text = this.#template;
    for (let at = text.indexOf('{', this.#at); at >= 0; at = text.indexOf('{', at + 1)) {
      const next = text[at + 1];
      if (next === '{' || next === '%' || next === '#') return at;
    }
    return -1;
  }

  #emitData(data: string, kind: string, sign: string, atLineStart: boolean): void {
    let text = data;
    if (sign === '-') text = text.trimEnd();
    else if (sign === '' && kind !== '{') {
      const lineStart = text.lastIndexOf('\n') + 1;
      if ((lineStart > 0 || atLineStart) && text.slice(lineStart).trim() === '') text = text.slice(0, lineStart);
    }
    this.#emit('text', text);
  }

  #skipComment(): void {
    const end = this.#template.indexOf('#}', this.#at);
    if (end < 0) throw this.#invalid('a comment is not closed');
    const last = end > this.#at ? this.#template[end - 1]! : '';
    this.#at = end + 2;
    this.#afterBlock(last === '-' || last === '+' ? last : '');
  }

  /** What follows a block or a comment: all white space after '-', else one newline, which '+' keeps. */
  #afterBlock(sign: string): void {
    if (sign === '-') this.#skipSpace();
    else if (sign !== '+' && this.#template[this.#at] === '\n') this.#at++;
  }

  #takeRaw(): boolean {
    const open = /^\s*raw\s*(-?)%\}/.exec(this.#template.slice(this.#at, this.#at + 64));
    if (open === null) return false;
    this.#at += open[0].length;
    if (open[1] === '-') this.#skipSpace();
    const close = /\{%([-+]?)\s*endraw\s*([-+]?)%\}/g;
    close.lastIndex = this.#at;
    const end = close.exec(this.#template);
    if (end === null) throw this.#invalid("'raw' is not closed by 'endraw'");
    this.#emitData(this.#template.slice(this.#at, end.index), '%', end[1]!, false);
    this.#at = end.index + end[0].length;
    this.#afterBlock(end[2]!);
    return true;
  }

  #lexTag(begin: TokenKind, end: TokenKind, close: string): void {
    this.#emit(begin, '');
    const text = this.#template;
    const open: string[] = [];
    for (;;) {
      this.#skipSpace();
      const char = text[this.#at];
      if (char === undefined) throw this.#invalid(`a tag is not closed by '${close}'`);
      if (open.length === 0) {
        const sign = (char === '-' || char === '+') && text.startsWith(close, this.#at + 1) ? char : '';
        if (sign !== '' || text.startsWith(close, this.#at)) {
          this.#emit(end, '');
          this.#at += sign.length + close.length;
          if (end === 'block-end') this.#afterBlock(sign);
          else if (sign === '-') this.#skipSpace();
          return;
        }
      }
      this.#lexToken(char, open);
    }
  }

  #lexToken(char: string, open: string[]): void {
    if (char === '"' || char === "'") {
      this.#lexString(char);
      return;
    }
    const rest = this.#template.slice(this.#at, this.#at + 256);
    const number = /^(?:\d+(?:_\d+)*\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\d+(?:_\d+)*)/.exec(rest);
    const name = /^[\p{L}_][\p{L}\p{N}_]*/u.exec(rest);
    if (number !== null) {
      this.#take(/[.eE]/.test(number[0]) ? 'float' : 'integer', number[0]);
      return;
    }
    if (name !== null) {
      this.#take('name', name[0]);
      return;
    }
    const operator = operators.find((candidate) => rest.startsWith(candidate));
    if (operator === undefined) throw this.#invalid(`the character '${char}' is not expected here`);
    const closer = closers[operator];
    if (closer !== undefined) open.push(closer);
    else if (operator === ')' || operator === ']' || operator === '}') {
      if (open.pop() !== operator) throw this.#invalid(`'${operator}' closes nothing`);
    }
    this.#take('operator', operator);
  }

  #lexString(quote: string): void {
    const text = this.#template;
    let end = this.#at + 1;
    while (end < text.length && text[end] !== quote) end += text[end] === '\\' ? 2 : 1;
    if (end >= text.length) throw this.#invalid('a string is not closed');
    this.#emit('string', unescapeString(text.slice(this.#at + 1, end)));
    this.#at = end + 1;
  }

  #take(kind: TokenKind, text: string): void {
    this.#emit(kind, text);
    this.#at += text.length;
  }

  #emit(kind: TokenKind, text: string): void {
    if (kind === 'text' && text === '') return;
    this.#tokens.push({ kind, text, line: this.#lineAt(this.#at) });
  }

  #skipSpace(): void {
    while (this.#at < this.#template.length && /\s/.test(this.#template[this.#at]!)) this.#at++;
  }

  #lineAt(position: number): number {
    for (; this.#lineCountedTo < position; this.#lineCountedTo++) {
      if (this.#template[this.#lineCountedTo] === '\n') this.#line++;
    }
    return this.#line;
  }

  #invalid(reason: string): CortexError {
    return new CortexError('template_invalid', { source: this.#source, line: this.#lineAt(this.#at), reason });
  }
}

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  b: '\b',
  f: '\f',
  v: '\v',
  a: '\u0007',
  '\n': '',
};

/** Escapes of a Python string literal; an unknown one keeps its backslash. */
function unescapeString(body: string): string {
  if (!body.includes('\\')) return body;
  return body.replace(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})|([\s\S]))/g,
    (whole, x: string, u: string, long: string, octal: string, char: string) => {
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
      const hex = x ?? u ?? long;
      if (hex !== undefined) {
        const point = Number.parseInt(hex, 16);
        return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
      }
      if (char === '\\' || char === "'" || char === '"') return char;
      return escapes[char] ?? whole;
    },
  );
}
