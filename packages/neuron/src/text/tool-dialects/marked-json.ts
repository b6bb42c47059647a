import { parseJsonCall } from './json-call.js';
import { parseParameterCalls } from './parameter-call.js';
import type { MarkedDialect } from './tool-dialect.js';

/** One JSON object between marks: Hermes, Qwen2.5, QwQ, Qwen3. The other form between the same marks is understood too. */
export const markedJson: MarkedDialect = {
  kind: 'marked',
  name: 'marked-json',
  open: '<tool_call>',
  close: '</tool_call>',
  syntax: {
    kind: 'json',
    begin: '<tool_call>\n{"name": "',
    argumentsBegin: '", "arguments": ',
    end: '}\n</tool_call>',
    between: '\n',
  },
  isWrittenBy: (template) => template.includes('<tool_call>'),
  parse(body, tools) {
    const call = parseJsonCall(body);
    return call ? [call] : parseParameterCalls(body, tools);
  },
};
