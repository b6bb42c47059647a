import type { ToolSchema } from '../output-event.js';
import { parseJsonCall } from './json-call.js';
import { jsonOfText, propertiesOf } from './text-values.js';
import type { BareDialect, ParsedCall } from './tool-dialect.js';

/**
 * A bare JSON object, or what follows the tag: Llama 3.1 to 3.3. Nothing tells such an object from an answer in JSON but the
 * name of a tool that the request offers, so only those are calls.
 */
export const bareJson: BareDialect = {
  kind: 'bare',
  name: 'bare-json',
  tag: '<|python_tag|>',
  syntax: {
    kind: 'json',
    begin: '{"name": "',
    argumentsBegin: '", "parameters": ',
    end: '}',
    between: '; ',
  },
  members: new Set(['type', 'name', 'parameters', 'arguments']),
  // Results go back under a role of this name in no other format.
  isWrittenBy: (template) =>
    template.includes('{"name": "') && template.includes('"parameters": ') && template.includes('ipython'),
  parse: (object, tools) => ifOffered(parseJsonCall(object), tools),
  parseTagged: parseBuiltinCall,
};

function ifOffered(call: ParsedCall | null, tools: readonly ToolSchema[]): ParsedCall | null {
  return call !== null && tools.some((tool) => tool.name === call.name) ? call : null;
}

/** `name.call(key="value", ...)`: values are raw text up to the quote that ends an argument. */
function parseBuiltinCall(body: string, tools: readonly ToolSchema[]): ParsedCall | null {
  const match = /^\s*([\w-]+)\.call\((.*)\)\s*$/s.exec(body);
  if (match === null) return null;
  const [, name = '', list = ''] = match;
  const schema = tools.find((tool) => tool.name === name)?.parameters;
  const members = new Map<string, string>();
  let at = 0;
  while (at < list.length) {
    const argument = /(\w+)="(.*?)"(?:,\s*(?=\w+=")|$)/sy;
    argument.lastIndex = at;
    const [whole, key = '', value = ''] = argument.exec(list) ?? [''];
    if (whole === '') return null;
    members.set(key, `${JSON.stringify(key)}: ${jsonOfText(value, propertiesOf(schema).get(key), schema)}`);
    at = argument.lastIndex;
  }
  return ifOffered({ name, arguments: `{${[...members.values()].join(', ')}}` }, tools);
}
