import type { ToolSchema } from '../output-event.js';
import { jsonOfText, propertiesOf } from './text-values.js';
import type { ParsedCall } from './tool-dialect.js';

const functionClose = '</function>';
const parameterClose = '</parameter>';

/**
 * `<function=NAME><parameter=KEY>value</parameter>...</function>`, once or several times. Closes may be missing; any other text
 * between the parts makes it no call. Null when it is none.
 */
export function parseParameterCalls(body: string, tools: readonly ToolSchema[]): readonly ParsedCall[] | null {
  const calls: ParsedCall[] = [];
  let at = 0;
  while (at < body.length) {
    const head = take(/\s*<function=([^>\n]+)(?:>|\n)/y, body, at);
    if (head === null) break;
    const name = head.groups[0]!.trim();
    if (name === '') return null;
    const schema = tools.find((tool) => tool.name === name)?.parameters;
    const properties = propertiesOf(schema);
    const members = new Map<string, string>();
    at = head.end;
    for (;;) {
      const parameter = take(/\s*<parameter=([^>\n]+)>/y, body, at);
      if (parameter === null) break;
      const key = parameter.groups[0]!.trim();
      const { text, end } = parameterText(body, parameter.end);
      // The same key twice would make two members of one object: the last stands, as it would in JSON.
      members.set(key, `${JSON.stringify(key)}: ${jsonOfText(text, properties.get(key), schema)}`);
      at = end;
    }
    at = take(/\s*<\/function>/y, body, at)?.end ?? at;
    calls.push({ name, arguments: `{${[...members.values()].join(', ')}}` });
  }
  return calls.length > 0 && body.slice(at).trim() === '' ? calls : null;
}

/**
 * The value ends at the first close that another part follows: a close inside of it is the value's own. Where the close is
 * missing it ends at the next parameter, or with the function. The format puts each value on lines of its own; only that
 * newline is not the value's.
 */
function parameterText(body: string, start: number): { text: string; end: number } {
  const close = take(/.*?<\/parameter>(?=\s*(?:<parameter=|<\/function>|<function=|$))/sy, body, start);
  const nextAt = body.indexOf('\n<parameter=', start);
  if (close !== null && (nextAt < 0 || close.end <= nextAt)) {
    return { text: withoutOuterLines(body.slice(start, close.end - parameterClose.length)), end: close.end };
  }
  const functionAt = body.lastIndexOf(functionClose);
  const end = nextAt >= 0 ? nextAt : functionAt >= start ? functionAt : body.length;
  return { text: withoutOuterLines(body.slice(start, end)), end };
}

const withoutOuterLines = (text: string): string => text.replace(/^\r?\n/, '').replace(/\r?\n$/, '');

function take(pattern: RegExp, text: string, at: number): { groups: readonly string[]; end: number } | null {
  pattern.lastIndex = at;
  const match = pattern.exec(text);
  return match === null ? null : { groups: match.slice(1), end: pattern.lastIndex };
}
