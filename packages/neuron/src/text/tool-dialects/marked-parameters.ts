import { parseJsonCall } from './json-call.js';
import { parseParameterCalls } from './parameter-call.js';
import type { MarkedDialect } from './tool-dialect.js';

/** A function with a parameter on lines of its own for each argument: Qwen3-Coder, Qwen3.5. JSON is understood too. */
export const markedParameters: MarkedDialect = {
  kind: 'marked',
  name: 'marked-parameters',
  open: '<tool_call>',
  close: '</tool_call>',
  syntax: {
    kind: 'parameters',
    begin: '<tool_call>\n<function=',
    nameEnd: '>\n',
    parameterBegin: '<parameter=',
    keyEnd: '>\n',
    parameterEnd: '\n</parameter>\n',
    end: '</function>\n</tool_call>',
    between: '\n',
  },
  isWrittenBy: (template) => template.includes('<tool_call>') && template.includes('<function='),
  parse(body, tools) {
    const calls = parseParameterCalls(body, tools);
    if (calls !== null) return calls;
    const call = parseJsonCall(body);
    return call && [call];
  },
};
