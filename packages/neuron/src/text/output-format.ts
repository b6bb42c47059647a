import type { Tokenizer } from './tokenizer/tokenizer.js';

/** A pair of marks around a stretch of output. Ids are null when the vocabulary spells the marks with several tokens. */
export interface MarkerPair {
  readonly open: string;
  readonly close: string;
  readonly openId: number | null;
  readonly closeId: number | null;
}

/** How a tool call is written between its marks: one JSON object, or `<function=...>` with parameters. */
export type ToolStyle = 'json' | 'xml';

/** How a model marks what is not plain answer; null where it does not. */
export interface OutputFormat {
  readonly reasoning: MarkerPair | null;
  readonly tools: (MarkerPair & { readonly style: ToolStyle }) | null;
}

const reasoningPairs = [
  ['<think>', '</think>'],
  ['[THINK]', '[/THINK]'],
  ['<thought>', '</thought>'],
  ['<reasoning>', '</reasoning>'],
] as const;

const toolPair = ['<tool_call>', '</tool_call>'] as const;

/** Reads a model's marks from its vocabulary and the text of its chat templates. */
export function detectOutputFormat(tokenizer: Tokenizer, templateText: string): OutputFormat {
  const pairs = reasoningPairs.map(([open, close]) => pairOf(tokenizer, open, close));
  const byToken = pairs.find((pair) => pair.openId !== null);
  // Distilled models spell the marks with ordinary tokens: then the template tells.
  const byText = pairs.find((pair) => templateText.includes(pair.close));
  if (!templateText.includes(toolPair[0])) return { reasoning: byToken ?? byText ?? null, tools: null };
  const style = templateText.includes('<function=') ? 'xml' : 'json';
  return {
    reasoning: byToken ?? byText ?? null,
    tools: { ...pairOf(tokenizer, ...toolPair), style },
  };
}

/** True when a prompt ends inside an open reasoning mark: the template opened it for the model. */
export function opensReasoning(prompt: string, format: OutputFormat): boolean {
  return format.reasoning !== null && prompt.trimEnd().endsWith(format.reasoning.open);
}

function pairOf(tokenizer: Tokenizer, open: string, close: string): MarkerPair {
  const [openId, closeId] = [addedId(tokenizer, open), addedId(tokenizer, close)];
  const areTokens = openId !== null && closeId !== null;
  return { open, close, openId: areTokens ? openId : null, closeId: areTokens ? closeId : null };
}

function addedId(tokenizer: Tokenizer, token: string): number | null {
  const id = tokenizer.idOf(token);
  return id !== undefined && tokenizer.addedIds.has(id) ? id : null;
}
