import type { ToolSchema } from '../output-event.js';

/** A tool call as a model wrote it. */
export interface ParsedCall {
  readonly name: string;
  /** A JSON object as text. */
  readonly arguments: string;
}

/**
 * One way of writing tool calls that a family of models was trained on: what the parser of outputs reads, and what a grammar
 * makes a model write.
 */
export type ToolDialect = MarkedDialect | BareDialect;

/** Every call stands between two marks; what is outside of them is plain answer. */
export interface MarkedDialect {
  readonly kind: 'marked';
  readonly name: string;
  readonly open: string;
  readonly close: string;
  readonly syntax: CallSyntax;
  /** Whether a chat template writes calls in this way. */
  isWrittenBy(template: string): boolean;
  /** Calls that stand between one pair of marks; null when it is anything else. */
  parse(body: string, tools: readonly ToolSchema[]): readonly ParsedCall[] | null;
}

/** Calls are JSON objects without marks: they stand where the answer begins, or after the tag, and end the answer. */
export interface BareDialect {
  readonly kind: 'bare';
  readonly name: string;
  /** Token that may announce calls, anywhere in an answer. */
  readonly tag: string;
  readonly syntax: JsonCallSyntax;
  /** Members that a call may have: an object with any other is plain answer. */
  readonly members: ReadonlySet<string>;
  isWrittenBy(template: string): boolean;
  /** A whole JSON object; null when it is not a call of one of the tools. */
  parse(object: string, tools: readonly ToolSchema[]): ParsedCall | null;
  /** Whatever else stands between the tag and the end of the answer; null when it is not a call of one of the tools. */
  parseTagged(body: string, tools: readonly ToolSchema[]): ParsedCall | null;
}

/** The pieces of a call, exactly as chat templates of the family write calls of earlier turns. */
export type CallSyntax = JsonCallSyntax | ParameterCallSyntax;

/** begin, name (inside a JSON string), argumentsBegin, arguments (a JSON object), end. */
export interface JsonCallSyntax {
  readonly kind: 'json';
  readonly begin: string;
  readonly argumentsBegin: string;
  readonly end: string;
  /** Between one call and the next. */
  readonly between: string;
}

/** begin, name, nameEnd, then for each argument parameterBegin, key, keyEnd, value, parameterEnd; end. Strings are raw, other values JSON. */
export interface ParameterCallSyntax {
  readonly kind: 'parameters';
  readonly begin: string;
  readonly nameEnd: string;
  readonly parameterBegin: string;
  readonly keyEnd: string;
  readonly parameterEnd: string;
  readonly end: string;
  readonly between: string;
}
