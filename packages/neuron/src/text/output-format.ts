import type { Tokenizer } from './tokenizer/tokenizer.js';
import { chooseDialect } from './tool-dialects/choose-dialect.js';
import type { BareDialect, MarkedDialect } from './tool-dialects/tool-dialect.js';

/** A pair of marks around a stretch of output. Ids are null when the vocabulary spells the marks with several tokens. */
export interface MarkerPair {
  readonly open: string;
  readonly close: string;
  readonly openId: number | null;
  readonly closeId: number | null;
}

/** How a model writes tool calls, with the ids that its vocabulary gives the dialect's marks. */
export type ToolFormat =
  | { readonly kind: 'marked'; readonly dialect: MarkedDialect; readonly marks: MarkerPair }
  | { readonly kind: 'bare'; readonly dialect: BareDialect; readonly tagId: number | null };

/** How a model marks what is not plain answer; null where it does not. */
export interface OutputFormat {
  readonly reasoning: MarkerPair | null;
  readonly tools: ToolFormat | null;
}

const reasoningPairs = [
  ['<think>', '</think>'],
  ['[THINK]', '[/THINK]'],
  ['<thought>', '</thought>'],
  ['<reasoning>', '</reasoning>'],
] as const;

/** Reads a model's marks from its vocabulary and the text of its chat templates. */
export function detectOutputFormat(tokenizer: Tokenizer, templateText: string): OutputFormat {
  const pairs = reasoningPairs.map(([open, close]) => pairOf(tokenizer, open, close));
  const byToken = pairs.find((pair) => pair.openId !== null);
  // Distilled models spell the marks with ordinary tokens: then the template tells.
  const byText = pairs.find((pair) => templateText.includes(pair.close));
  return { reasoning: byToken ?? byText ?? null, tools: detectTools(tokenizer, templateText) };
}

function detectTools(tokenizer: Tokenizer, templateText: string): ToolFormat | null {
  const dialect = chooseDialect(templateText);
  if (dialect === null) return null;
  return dialect.kind === 'marked'
    ? { kind: 'marked', dialect, marks: pairOf(tokenizer, dialect.open, dialect.close) }
    : { kind: 'bare', dialect, tagId: addedId(tokenizer, dialect.tag) };
}

/** Whether a prompt ends inside reasoning. */
export const opensReasoning = (prompt: readonly number[], tokenizer: Tokenizer, format: OutputFormat): boolean =>
  reasoningAt(prompt, tokenizer, format) === 'open';

/**
 * Where a prompt leaves reasoning: its marks are replayed from the last other added token on, which is where the model's own
 * turn begins, and the last one wins. So a mark that a user wrote in an earlier turn says nothing.
 */
export function reasoningAt(
  prompt: readonly number[],
  tokenizer: Tokenizer,
  { reasoning }: OutputFormat,
): 'open' | 'closed' | 'unsaid' {
  if (reasoning === null) return 'unsaid';
  const { openId, closeId } = reasoning;
  let start = prompt.length;
  while (start > 0) {
    const id = prompt[start - 1]!;
    if (id === openId) return 'open';
    if (id === closeId) return 'closed';
    // Below zero stands an image.
    if (id < 0 || tokenizer.addedIds.has(id)) break;
    start--;
  }
  if (openId !== null) return 'unsaid';
  const turn = tokenizer.decode(prompt.slice(start));
  const [openAt, closeAt] = [turn.lastIndexOf(reasoning.open), turn.lastIndexOf(reasoning.close)];
  if (openAt === closeAt) return 'unsaid';
  return openAt > closeAt ? 'open' : 'closed';
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
