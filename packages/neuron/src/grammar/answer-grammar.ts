import type { MarkerPair, ToolFormat } from '../text/output-format.js';
import { callsNode, freeTextNode } from './calls-node.js';
import {
  choice,
  type Grammar,
  type GrammarNode,
  literal,
  nothing,
  optional,
  repeat,
  rule,
  sequence,
} from './grammar-node.js';
import { jsonRuleNodes, jsonRules } from './schema/json-nodes.js';
import { refuseKeyword } from './schema/refuse-keyword.js';
import { addSchema } from './schema/schema-grammar.js';
import { uptoNode } from './upto-node.js';
import type { WantedAnswer } from './wanted-answer.js';

/** How an answer begins, before what is constrained. */
export interface AnswerOpening {
  /** `open`: the prompt has opened it; `possible`: the model may; `none`: it may not. */
  readonly reasoning: 'open' | 'possible' | 'none';
  readonly marks: MarkerPair | null;
  /** A vocabulary that puts a space before the first word. */
  readonly hasLeadingSpace: boolean;
}

/** The grammar of a whole answer; yields between rules so that the caller may let others run. */
export function* answerGrammar(
  wanted: WantedAnswer,
  tools: ToolFormat | null,
  opening: AnswerOpening,
): Generator<void, Grammar, void> {
  const rules = new Map<string, GrammarNode>(jsonRuleNodes());
  const body = yield* bodyNode(wanted, tools, rules);
  const isFree = wanted.kind === 'calls' && !wanted.isRequired && wanted.otherwise === null;
  // Free text has its reasoning in it.
  const node = isFree ? body : withReasoning(body, opening, tools);
  rules.set('answer', opening.hasLeadingSpace && !isFree ? sequence(optional(literal(' ')), node) : node);
  return { rules, start: 'answer' };
}

function* bodyNode(
  wanted: WantedAnswer,
  tools: ToolFormat | null,
  rules: Map<string, GrammarNode>,
): Generator<void, GrammarNode, void> {
  if (wanted.kind === 'object') return rule(jsonRules.object);
  if (wanted.kind === 'schema') {
    return rule(yield* addSchema(wanted.schema, rules, { prefix: 'schema', refuse: refuseKeyword(wanted.param) }));
  }
  if (tools === null) return nothing;
  const shape = { ...wanted, format: tools };
  const calls = yield* callsNode(shape, rules);
  if (wanted.isRequired) return calls;
  return wanted.otherwise ? choice(calls, yield* bodyNode(wanted.otherwise, tools, rules)) : freeTextNode(calls, shape);
}

/** What is constrained comes after reasoning. A mark of tools means a call wherever it stands, so it is kept out of that. */
function withReasoning(body: GrammarNode, { reasoning, marks }: AnswerOpening, tools: ToolFormat | null): GrammarNode {
  if (marks === null || reasoning === 'none') return body;
  const lines = repeat(literal('\n'), 0, 2);
  const { openId, closeId, open, close } = marks;
  const areTokens = openId !== null && closeId !== null;
  const toolMark = tools?.kind === 'marked' ? tools.marks.openId : (tools?.tagId ?? null);
  const except = new Set([closeId, toolMark].filter((id) => id !== null));
  const thoughts = areTokens
    ? sequence({ kind: 'free', except }, { kind: 'token', id: closeId }, lines)
    : sequence(uptoNode(close), lines);
  if (reasoning === 'open') return sequence(thoughts, body);
  const opened: GrammarNode = areTokens ? { kind: 'token', id: openId } : literal(open);
  return choice(sequence(opened, thoughts, body), body);
}
