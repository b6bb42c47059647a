import { CortexError } from '@helexa/core';
import type { BinaryOperator, CallArguments, Comparison, Expression, Parameter, Statement, Target } from './ast.js';
import { lexTemplate, type Token, type TokenKind } from './lexer.js';

/** Names that a template may use, checked when it is read. */
export interface Vocabulary {
  readonly filters: ReadonlySet<string>;
  readonly tests: ReadonlySet<string>;
}

/** Reads a template into its tree; a mistake is `template_invalid` with its line. */
export function parseTemplate(template: string, source: string, known: Vocabulary): readonly Statement[] {
  return new Parser(lexTemplate(template, source), source, known).run();
}

const maxDepth = 120;
const comparisons = new Set(['==', '!=', '<', '<=', '>', '>=']);
const constants = new Set(['true', 'True', 'false', 'False', 'none', 'None']);

class Parser {
  readonly #tokens: readonly Token[];
  readonly #source: string;
  readonly #known: Vocabulary;
  #at = 0;
  #depth = 0;
  #loops = 0;

  constructor(tokens: readonly Token[], source: string, known: Vocabulary) {
    this.#tokens = tokens;
    this.#source = source;
    this.#known = known;
  }

  run(): readonly Statement[] {
    const body = this.#body([]);
    if (this.#token.kind !== 'end') throw this.#unexpected();
    return body;
  }

  /** Statements up to a block that starts with one of `ends`, whose name stays to be read; or to the end of the template. */
  #body(ends: readonly string[]): Statement[] {
    return this.#nested(() => {
      const body: Statement[] = [];
      for (;;) {
        const { kind, line, text } = this.#token;
        if (kind === 'end') {
          if (ends.length > 0) throw this.#invalid(`'${ends.at(-1)}' is missing`);
          return body;
        }
        if (kind === 'text') {
          this.#at++;
          body.push({ kind: 'text', text, line });
        } else if (kind === 'print-begin') {
          this.#at++;
          body.push({ kind: 'print', value: this.#tupleOrExpression(), line });
          this.#expect('print-end');
        } else {
          this.#expect('block-begin');
          if (ends.includes(this.#token.text) && this.#token.kind === 'name') return body;
          body.push(this.#statement());
        }
      }
    });
  }

  #statement(): Statement {
    const line = this.#token.line;
    const name = this.#expect('name').text;
    switch (name) {
      case 'if':
        return this.#if(line);
      case 'for':
        return this.#for(line);
      case 'set':
        return this.#set(line);
      case 'macro':
        return this.#macro(line);
      case 'call':
        return this.#callBlock(line);
      case 'filter': {
        const filter = this.#filters(null);
        if (filter === null) throw this.#unexpected();
        return { kind: 'filter-block', filter, body: this.#closedBody('endfilter'), line };
      }
      case 'with':
        return this.#with(line);
      case 'generation':
        return { kind: 'block', body: this.#closedBody('endgeneration'), line };
      case 'break':
      case 'continue':
        if (this.#loops === 0) throw this.#invalid(`'${name}' stands outside a loop`);
        this.#expect('block-end');
        return { kind: name, line };
      default:
        throw this.#invalid(`the tag '${name}' is not known`);
    }
  }

  /** `%}` body `{% end %}` */
  #closedBody(end: string): Statement[] {
    this.#expect('block-end');
    const body = this.#body([end]);
    this.#at++;
    this.#expect('block-end');
    return body;
  }

  #if(line: number): Statement {
    const branches: (readonly [Expression, readonly Statement[]])[] = [];
    let otherwise: readonly Statement[] = [];
    for (;;) {
      const test = this.#tupleOrExpression();
      this.#expect('block-end');
      branches.push([test, this.#body(['elif', 'else', 'endif'])]);
      const end = this.#expect('name').text;
      if (end === 'elif') continue;
      if (end === 'else') otherwise = this.#closedBody('endif');
      else this.#expect('block-end');
      return { kind: 'if', branches, otherwise, line };
    }
  }

  #for(line: number): Statement {
    const target = this.#target();
    this.#expectName('in');
    // Without a conditional: the `if` after it filters the loop.
    const iterable = this.#tupleOrExpression(false);
    const filter = this.#takeName('if') ? this.#expression() : null;
    const recursive = this.#takeName('recursive');
    this.#expect('block-end');
    this.#loops++;
    const body = this.#body(['else', 'endfor']);
    this.#loops--;
    let otherwise: readonly Statement[] = [];
    if (this.#expect('name').text === 'else') otherwise = this.#closedBody('endfor');
    else this.#expect('block-end');
    return { kind: 'for', target, iterable, filter, recursive, body, otherwise, line };
  }

  #set(line: number): Statement {
    const target = this.#target();
    if (this.#takeOperator('=')) {
      const value = this.#tupleOrExpression();
      this.#expect('block-end');
      return { kind: 'set', target, value, line };
    }
    const filter = this.#isOperator('|') ? this.#filters(null) : null;
    return { kind: 'set-block', target, filter, body: this.#closedBody('endset'), line };
  }

  #macro(line: number): Statement {
    const name = this.#expect('name').text;
    const parameters = this.#parameters();
    const loops = this.#loops;
    this.#loops = 0;
    const body = this.#closedBody('endmacro');
    this.#loops = loops;
    return { kind: 'macro', name, parameters, body, line };
  }

  #callBlock(line: number): Statement {
    const parameters = this.#isOperator('(') ? this.#parameters() : [];
    const call = this.#expression();
    if (call.kind !== 'call') throw this.#invalid("'call' wants a call");
    return { kind: 'call-block', call, parameters, body: this.#closedBody('endcall'), line };
  }

  #with(line: number): Statement {
    const bindings: (readonly [Target, Expression])[] = [];
    while (this.#token.kind !== 'block-end') {
      if (bindings.length > 0) this.#expectOperator(',');
      const target = this.#target();
      this.#expectOperator('=');
      bindings.push([target, this.#expression()]);
    }
    return { kind: 'with', bindings, body: this.#closedBody('endwith'), line };
  }

  #parameters(): Parameter[] {
    this.#expectOperator('(');
    const parameters: Parameter[] = [];
    while (!this.#takeOperator(')')) {
      if (parameters.length > 0) this.#expectOperator(',');
      const name = this.#expect('name').text;
      parameters.push({ name, fallback: this.#takeOperator('=') ? this.#expression() : null });
    }
    return parameters;
  }

  #target(): Target {
    const line = this.#token.line;
    const targets = [this.#oneTarget()];
    let isTuple = false;
    while (this.#takeOperator(',')) {
      isTuple = true;
      if (this.#token.kind !== 'name' && !this.#isOperator('(')) break;
      targets.push(this.#oneTarget());
    }
    return isTuple ? { kind: 'unpack', targets, line } : targets[0]!;
  }

  #oneTarget(): Target {
    const line = this.#token.line;
    if (this.#takeOperator('(')) {
      const target = this.#nested(() => this.#target());
      this.#expectOperator(')');
      return target;
    }
    const name = this.#expect('name').text;
    if (constants.has(name)) throw this.#invalid(`'${name}' cannot be assigned`);
    if (!this.#takeOperator('.')) return { kind: 'name', name, line };
    return { kind: 'member', object: name, name: this.#expect('name').text, line };
  }

  /** An expression, or several joined by commas into a tuple. */
  #tupleOrExpression(conditional = true): Expression {
    const line = this.#token.line;
    const next = () => (conditional ? this.#expression() : this.#or());
    const first = next();
    if (!this.#isOperator(',')) return first;
    const items = [first];
    while (this.#takeOperator(',')) {
      if (this.#endsTuple()) break;
      items.push(next());
    }
    return { kind: 'tuple', items, line };
  }

  #endsTuple(): boolean {
    const { kind, text } = this.#token;
    return kind === 'block-end' || kind === 'print-end' || (kind === 'operator' && text === ')');
  }

  #expression(): Expression {
    return this.#nested(() => {
      let value = this.#or();
      for (;;) {
        const line = this.#token.line;
        if (!this.#takeName('if')) return value;
        const test = this.#or();
        const otherwise = this.#takeName('else') ? this.#expression() : null;
        value = { kind: 'conditional', test, value, otherwise, line };
      }
    });
  }

  #or(): Expression {
    let left = this.#and();
    for (let line = this.#token.line; this.#takeName('or'); line = this.#token.line) {
      left = { kind: 'or', left, right: this.#and(), line };
    }
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    for (let line = this.#token.line; this.#takeName('and'); line = this.#token.line) {
      left = { kind: 'and', left, right: this.#not(), line };
    }
    return left;
  }

  #not(): Expression {
    const line = this.#token.line;
    if (!this.#takeName('not')) return this.#compare();
    return this.#nested(() => ({ kind: 'not', operand: this.#not(), line }));
  }

  #compare(): Expression {
    const line = this.#token.line;
    const first = this.#binary(0);
    const rest: (readonly [Comparison, Expression])[] = [];
    for (;;) {
      const { kind, text } = this.#token;
      if (kind === 'operator' && comparisons.has(text)) {
        this.#at++;
        rest.push([text as Comparison, this.#binary(0)]);
      } else if (this.#takeName('in')) {
        rest.push(['in', this.#binary(0)]);
      } else if (kind === 'name' && text === 'not' && this.#tokens[this.#at + 1]?.text === 'in') {
        this.#at += 2;
        rest.push(['not in', this.#binary(0)]);
      } else {
        return rest.length === 0 ? first : { kind: 'compare', first, rest, line };
      }
    }
  }

  /** Left-associative operators, loosest first. */
  #binary(level: number): Expression {
    const operatorsOf = [['+', '-'], ['~'], ['*', '/', '//', '%'], ['**']][level];
    if (operatorsOf === undefined) return this.#unary(true);
    let left = this.#binary(level + 1);
    for (;;) {
      const { kind, text, line } = this.#token;
      if (kind !== 'operator' || !operatorsOf.includes(text)) return left;
      this.#at++;
      left = { kind: 'binary', operator: text as BinaryOperator, left, right: this.#binary(level + 1), line };
    }
  }

  #unary(withFilters: boolean): Expression {
    const { kind, text, line } = this.#token;
    let value: Expression;
    if (kind === 'operator' && (text === '-' || text === '+')) {
      this.#at++;
      const operand = this.#nested(() => this.#unary(false));
      value = { kind: 'sign', negative: text === '-', operand, line };
    } else {
      value = this.#postfix(this.#primary());
    }
    return withFilters ? this.#filtersAndTests(value) : value;
  }

  #primary(): Expression {
    const { kind, text, line } = this.#token;
    this.#at++;
    switch (kind) {
      case 'name':
        if (text === 'true' || text === 'True') return { kind: 'boolean', value: true, line };
        if (text === 'false' || text === 'False') return { kind: 'boolean', value: false, line };
        if (text === 'none' || text === 'None') return { kind: 'none', line };
        return { kind: 'name', name: text, line };
      case 'string': {
        let value = text;
        for (; this.#token.kind === 'string'; this.#at++) value += this.#token.text;
        return { kind: 'string', value, line };
      }
      case 'integer':
        return { kind: 'integer', value: Number(text.replaceAll('_', '')), line };
      case 'float':
        return { kind: 'float', value: Number(text.replaceAll('_', '')), line };
      case 'operator':
        if (text === '(') return this.#nested(() => this.#parenthesis(line));
        if (text === '[') return { kind: 'list', items: this.#items(']'), line };
        if (text === '{') return this.#nested(() => this.#dict(line));
    }
    this.#at--;
    throw this.#unexpected();
  }

  #parenthesis(line: number): Expression {
    if (this.#takeOperator(')')) return { kind: 'tuple', items: [], line };
    const value = this.#tupleOrExpression();
    this.#expectOperator(')');
    return value;
  }

  #items(close: string): Expression[] {
    const items: Expression[] = [];
    while (!this.#takeOperator(close)) {
      if (items.length > 0) {
        this.#expectOperator(',');
        if (this.#takeOperator(close)) break;
      }
      items.push(this.#expression());
    }
    return items;
  }

  #dict(line: number): Expression {
    const entries: (readonly [Expression, Expression])[] = [];
    while (!this.#takeOperator('}')) {
      if (entries.length > 0) {
        this.#expectOperator(',');
        if (this.#takeOperator('}')) break;
      }
      const key = this.#expression();
      this.#expectOperator(':');
      entries.push([key, this.#expression()]);
    }
    return { kind: 'dict', entries, line };
  }

  #postfix(start: Expression): Expression {
    let value = start;
    for (;;) {
      const line = this.#token.line;
      if (this.#takeOperator('.')) {
        const member = this.#token;
        this.#at++;
        if (member.kind === 'name') value = { kind: 'attribute', object: value, name: member.text, line };
        else if (member.kind === 'integer') {
          value = { kind: 'item', object: value, key: { kind: 'integer', value: Number(member.text), line }, line };
        } else {
          this.#at--;
          throw this.#unexpected();
        }
      } else if (this.#takeOperator('[')) value = this.#subscript(value, line);
      else if (this.#isOperator('(')) value = { kind: 'call', callee: value, args: this.#arguments(), line };
      else return value;
    }
  }

  #subscript(object: Expression, line: number): Expression {
    const part = () =>
      this.#isOperator(':') || this.#isOperator(']') || this.#isOperator(',') ? null : this.#expression();
    const start = part();
    if (!this.#takeOperator(':')) {
      if (start === null) throw this.#unexpected();
      this.#expectOperator(']');
      return { kind: 'item', object, key: start, line };
    }
    const stop = part();
    const step = this.#takeOperator(':') ? part() : null;
    this.#expectOperator(']');
    return { kind: 'slice', object, start, stop, step, line };
  }

  #arguments(): CallArguments {
    this.#expectOperator('(');
    const positional: Expression[] = [];
    const named: (readonly [string, Expression])[] = [];
    for (let first = true; !this.#takeOperator(')'); first = false) {
      if (!first) {
        this.#expectOperator(',');
        if (this.#takeOperator(')')) break;
      }
      const { kind, text } = this.#token;
      const following = this.#tokens[this.#at + 1];
      if (kind === 'name' && following?.kind === 'operator' && following.text === '=') {
        this.#at += 2;
        named.push([text, this.#expression()]);
      } else {
        if (named.length > 0) throw this.#invalid('a positional argument follows a named one');
        positional.push(this.#expression());
      }
    }
    return { positional, named };
  }

  #filtersAndTests(start: Expression): Expression {
    let value = start;
    for (;;) {
      const { line } = this.#token;
      if (this.#isOperator('|')) value = this.#filters(value) as Expression;
      else if (this.#takeName('is')) value = this.#test(value, line);
      else if (this.#isOperator('(')) value = { kind: 'call', callee: value, args: this.#arguments(), line };
      else return value;
    }
  }

  /** `| name(...)` any number of times; after `{% filter` the first bar is absent. */
  #filters(start: Expression | null): Expression | null {
    let value = start;
    const needsBar = () => value !== null || this.#isOperator('|');
    while (needsBar() ? this.#takeOperator('|') : true) {
      const { line } = this.#token;
      const name = this.#dottedName();
      if (!this.#known.filters.has(name)) throw this.#invalid(`the filter '${name}' is not known`);
      const args = this.#isOperator('(') ? this.#arguments() : { positional: [], named: [] };
      value = { kind: 'filter', operand: value, name, args, line };
    }
    return value;
  }

  #test(operand: Expression, line: number): Expression {
    const negated = this.#takeName('not');
    const name = this.#dottedName();
    if (!this.#known.tests.has(name)) throw this.#invalid(`the test '${name}' is not known`);
    let args: CallArguments = { positional: [], named: [] };
    const { kind, text } = this.#token;
    if (this.#isOperator('(')) args = this.#arguments();
    else if (
      (kind === 'name' && !['else', 'or', 'and', 'is', 'if', 'in', 'not', 'recursive'].includes(text)) ||
      kind === 'string' ||
      kind === 'integer' ||
      kind === 'float' ||
      (kind === 'operator' && (text === '[' || text === '{'))
    ) {
      args = { positional: [this.#postfix(this.#primary())], named: [] };
    }
    const test: Expression = { kind: 'test', operand, name, args, line };
    return negated ? { kind: 'not', operand: test, line } : test;
  }

  #dottedName(): string {
    let name = this.#expect('name').text;
    while (this.#takeOperator('.')) name += `.${this.#expect('name').text}`;
    return name;
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > maxDepth) throw this.#invalid(`it is nested more than ${maxDepth} deep`);
    const value = read();
    this.#depth--;
    return value;
  }

  get #token(): Token {
    return this.#tokens[Math.min(this.#at, this.#tokens.length - 1)]!;
  }

  #expect(kind: TokenKind): Token {
    const token = this.#token;
    if (token.kind !== kind) throw this.#unexpected();
    this.#at++;
    return token;
  }

  #isOperator(text: string): boolean {
    return this.#token.kind === 'operator' && this.#token.text === text;
  }

  #takeOperator(text: string): boolean {
    if (!this.#isOperator(text)) return false;
    this.#at++;
    return true;
  }

  #expectOperator(text: string): void {
    if (!this.#takeOperator(text)) throw this.#unexpected(text);
  }

  #takeName(text: string): boolean {
    if (this.#token.kind !== 'name' || this.#token.text !== text) return false;
    this.#at++;
    return true;
  }

  #expectName(text: string): void {
    if (!this.#takeName(text)) throw this.#unexpected(text);
  }

  #unexpected(wanted?: string): CortexError {
    const { kind, text } = this.#token;
    const found = text === '' ? kind : `'${text}'`;
    return this.#invalid(`${found} is not expected here${wanted === undefined ? '' : `; '${wanted}' is`}`);
  }

  #invalid(reason: string): CortexError {
    return new CortexError('template_invalid', { source: this.#source, line: this.#token.line, reason });
  }
}
