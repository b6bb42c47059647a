import type { ChatCompletionRequest, ChatTool } from '@helexa/core';
import type { ToolGrammar } from '../grammar/calls-node.js';
import { checkStrict } from '../grammar/schema/check-strict.js';
import { refuseKeyword } from '../grammar/schema/refuse-keyword.js';
import type { WantedAnswer } from '../grammar/wanted-answer.js';
import { refuseUnless } from './sampling-request.js';

type Format = ChatCompletionRequest['response_format'];

/** The shape that `response_format` asks for; null: any text. */
export function wantedFormat(format: Format): WantedAnswer | null {
  if (format == null || format.type === 'text') return null;
  if (format.type === 'json_object') return { kind: 'object' };
  const param = 'response_format';
  const { schema = {}, strict } = format.json_schema;
  if (strict) checkStrict(schema, refuseKeyword(param));
  return { kind: 'schema', schema: schema ?? {}, param };
}

/** What a chat request asks of its answer, with the tools that may be called; null: nothing. */
export function wantedAnswer(body: ChatCompletionRequest, tools: readonly ChatTool[]): WantedAnswer | null {
  const { tool_choice: choice, parallel_tool_calls: parallel } = body;
  const otherwise = wantedFormat(body.response_format);
  const isNamed = typeof choice === 'object' && choice !== null;
  const isRequired = isNamed || choice === 'required';
  refuseUnless(!isRequired || tools.length > 0, 'tool_choice', "it wants a call, and there are no 'tools'");
  if (tools.length === 0) return otherwise;
  const names = new Set(tools.map((tool) => tool.function.name));
  refuseUnless(
    !isNamed || names.has(choice.function.name),
    'tool_choice',
    `'${isNamed ? choice.function.name : ''}' is none of the tools`,
  );
  const isStrict = tools.some((tool) => tool.function.strict === true);
  if (!isRequired && !isStrict && parallel !== false && otherwise === null) return null;
  const callable = tools.flatMap((tool, index) =>
    isNamed && tool.function.name !== choice.function.name ? [] : [grammarOf(tool, index, isRequired)],
  );
  return { kind: 'calls', tools: callable, isRequired, isSingle: isNamed || parallel === false, otherwise };
}

function grammarOf(
  { function: { name, parameters, strict } }: ChatTool,
  index: number,
  isRequired: boolean,
): ToolGrammar {
  const param = `tools[${index}].function.parameters`;
  if (strict) checkStrict(parameters ?? {}, refuseKeyword(param));
  return { name, parameters: parameters ?? null, held: strict ? 'strict' : isRequired ? 'wanted' : 'shape', param };
}
