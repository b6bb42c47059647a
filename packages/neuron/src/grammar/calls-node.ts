import { CortexError } from '@helexa/core';
import type { ToolFormat } from '../text/output-format.js';
import type { JsonCallSyntax, ParameterCallSyntax } from '../text/tool-dialects/tool-dialect.js';
import { choice, type GrammarNode, literal, nothing, optional, repeat, rule, sequence } from './grammar-node.js';
import { addParameters } from './parameters-node.js';
import { jsonRules } from './schema/json-nodes.js';
import { refuseKeyword } from './schema/refuse-keyword.js';
import { addSchema } from './schema/schema-grammar.js';
import { uptoNode, withoutNode } from './upto-node.js';

/** A function that may be called. */
export interface ToolGrammar {
  readonly name: string;
  /** JSON schema of its arguments; absent: it takes none that are known. */
  readonly parameters?: unknown;
  /**
   * strict: the arguments meet the schema, or the request is refused; wanted: they do if the schema can be enforced; shape:
   * they are a JSON object.
   */
  readonly held: 'strict' | 'wanted' | 'shape';
  /** Field of the request that has the schema. */
  readonly param: string;
}

export interface CallsShape {
  readonly tools: readonly ToolGrammar[];
  readonly format: ToolFormat;
  readonly isSingle: boolean;
}

/** Calls in the syntax of the model's own format: one, or several in a row. */
export function* callsNode(shape: CallsShape, rules: Map<string, GrammarNode>): Generator<void, GrammarNode, void> {
  const { dialect } = shape.format;
  const calls: GrammarNode[] = [];
  for (const [index, tool] of shape.tools.entries()) {
    yield;
    calls.push(yield* callNode(tool, `tool ${index}`, shape.format, rules));
  }
  rules.set('call', calls.length === 0 ? nothing : choice(...calls));
  const more = sequence(literal(dialect.syntax.between), rule('call'));
  return shape.isSingle ? rule('call') : sequence(rule('call'), repeat(more, 0, null));
}

function* callNode(tool: ToolGrammar, prefix: string, format: ToolFormat, rules: Map<string, GrammarNode>) {
  const { syntax } = format.dialect;
  const [begin, end] = [marked(syntax.begin, format), marked(syntax.end, format)];
  if (syntax.kind === 'json') {
    const body = yield* withSchema(tool, rules, prefix, () => jsonArguments(tool, prefix, rules));
    const name = JSON.stringify(tool.name).slice(1, -1);
    return sequence(
      begin,
      literal(name),
      literal((syntax satisfies JsonCallSyntax).argumentsBegin),
      body ?? rule(jsonRules.object),
      end,
    );
  }
  const known = yield* withSchema(tool, rules, prefix, () => addParameters(tool, syntax, prefix, rules));
  return sequence(begin, literal(tool.name), literal(syntax.nameEnd), known ?? anyParameters(syntax), end);
}

/** What a schema makes of the arguments; null where it is not held, or only wanted and cannot be enforced. */
function* withSchema(
  tool: ToolGrammar,
  rules: Map<string, GrammarNode>,
  prefix: string,
  write: () => Generator<void, GrammarNode, void>,
): Generator<void, GrammarNode | null, void> {
  if (tool.held === 'shape') return null;
  try {
    return yield* write();
  } catch (error) {
    const isUnsupported = CortexError.isInstance(error) && error.code === 'grammar_unsupported';
    if (tool.held === 'strict' || !isUnsupported) throw error;
    for (const name of [...rules.keys()]) if (name.startsWith(`${prefix} `)) rules.delete(name);
    return null;
  }
}

function* jsonArguments({ parameters, param }: ToolGrammar, prefix: string, rules: Map<string, GrammarNode>) {
  const also = [{ schema: { type: 'object' }, path: '#' }];
  return rule(yield* addSchema(parameters ?? {}, rules, { prefix, refuse: refuseKeyword(param), also }));
}

/** A piece of syntax, with marks as the tokens that they are. */
function marked(text: string, format: ToolFormat): GrammarNode {
  if (format.kind === 'bare') return literal(text);
  const { open, close, openId, closeId } = format.marks;
  if (openId === null || closeId === null) return literal(text);
  if (text.startsWith(open)) return sequence({ kind: 'token', id: openId }, literal(text.slice(open.length)));
  if (text.endsWith(close)) {
    return sequence(literal(text.slice(0, text.length - close.length)), { kind: 'token', id: closeId });
  }
  return literal(text);
}

/** Any parameters with names of letters, digits, `_` and `-`. */
function anyParameters(syntax: ParameterCallSyntax): GrammarNode {
  const letter = choice(
    ...(['az', 'AZ', '09', '__', '--'] as const).map(
      ([low, high]): GrammarNode => ({ kind: 'range', low: low!.charCodeAt(0), high: high!.charCodeAt(0) }),
    ),
  );
  const value = sequence(uptoNode(syntax.parameterEnd));
  return repeat(
    sequence(literal(syntax.parameterBegin), repeat(letter, 1, 64), literal(syntax.keyEnd), value),
    0,
    null,
  );
}

/** Text in which calls may stand: once the model begins one, it is held to it. */
export function freeTextNode(calls: GrammarNode, { format, isSingle }: CallsShape): GrammarNode {
  if (format.kind === 'bare') {
    // Without marks a call is an answer of its own: what begins with a brace is one.
    const begin = choice({ kind: 'range', low: 0x21, high: 0x7a }, { kind: 'range', low: 0x7c, high: 0xff });
    return choice(calls, optional(sequence(begin, repeat({ kind: 'range', low: 0, high: 0xff }, 0, null))));
  }
  const { open, openId } = format.marks;
  const most = isSingle ? 1 : null;
  if (openId !== null) {
    const text: GrammarNode = { kind: 'free', except: new Set([openId]) };
    return sequence(text, repeat(sequence(calls, text), 0, most));
  }
  const text = withoutNode(open);
  return sequence(repeat(sequence(text, calls), 0, most), text);
}
