import type { CallSyntax } from './tool-dialect.js';

export interface WrittenCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** Calls as a model of this dialect writes them. */
export const writeCalls = (syntax: CallSyntax, calls: readonly WrittenCall[]): string =>
  calls.map((call) => writeCall(syntax, call)).join(syntax.between);

function writeCall(syntax: CallSyntax, { name, arguments: members }: WrittenCall): string {
  if (syntax.kind === 'json') {
    return `${syntax.begin}${name}${syntax.argumentsBegin}${spaced(members)}${syntax.end}`;
  }
  const parameters = Object.entries(members).map(
    ([key, value]) =>
      `${syntax.parameterBegin}${key}${syntax.keyEnd}${typeof value === 'string' ? value : spaced(value)}${syntax.parameterEnd}`,
  );
  return `${syntax.begin}${name}${syntax.nameEnd}${parameters.join('')}${syntax.end}`;
}

/** JSON with a space after each separator, as templates print it. */
function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}: ${spaced(item)}`)
    .join(', ')}}`;
}
