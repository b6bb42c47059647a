import { isDeepStrictEqual } from 'node:util';
import { anthropicStreamEvent } from '@helexa/core';

type Kind = 'text' | 'thinking' | 'tool_use';

const deltasOf: Readonly<Record<Kind, readonly string[]>> = {
  text: ['text_delta'],
  thinking: ['thinking_delta', 'signature_delta'],
  tool_use: ['input_json_delta'],
};

const emptyBlocks: Readonly<Record<Kind, (block: Record<string, unknown>) => boolean>> = {
  text: (block) => block['text'] === '',
  thinking: (block) => block['thinking'] === '' && block['signature'] === '',
  tool_use: (block) => /^toolu_[A-Za-z0-9_-]+$/.test(String(block['id'])) && isDeepStrictEqual(block['input'], {}),
};

/**
 * What strict clients of Anthropic would refuse in a sequence of events: an empty list is a legal stream. `isWhole` asks for its
 * end too.
 */
export const problemsOfAnthropic = (events: readonly unknown[], isWhole = true): string[] => {
  const problems: string[] = [];
  let phase: 'before' | 'blocks' | 'after' | 'over' = 'before';
  let open: { readonly kind: Kind; readonly index: number; isSigned: boolean } | undefined;
  let next = 0;
  const ids = new Set<string>();
  for (const [at, raw] of events.entries()) {
    const complain = (what: string): void => void problems.push(`event ${at}: ${what}: ${JSON.stringify(raw)}`);
    const parsed = anthropicStreamEvent.safeParse(raw);
    if (!parsed.success || !isDeepStrictEqual(parsed.data, raw)) {
      complain('it has not the shape of an event');
      continue;
    }
    const event = parsed.data;
    if (phase === 'over') complain('it comes after the end');
    if (event.type === 'error') {
      phase = 'over';
      continue;
    }
    if (event.type === 'message_start') {
      if (phase !== 'before') complain('a second start');
      if (event.message.content.length > 0 || event.message.stop_reason !== null) complain('a start with content');
      phase = 'blocks';
      continue;
    }
    if (phase === 'before') complain('it comes before the start');
    switch (event.type) {
      case 'content_block_start': {
        const block = event.content_block;
        if (phase !== 'blocks' || open) complain('a block inside a block or after the end');
        if (event.index !== next) complain(`the index ${next} is wanted`);
        if (!emptyBlocks[block.type](block)) complain('a block that does not begin empty');
        if (block.type === 'tool_use') {
          if (ids.has(block.id)) complain('an id twice');
          ids.add(block.id);
        }
        open = { kind: block.type, index: event.index, isSigned: false };
        next += 1;
        break;
      }
      case 'content_block_delta': {
        if (!open || open.index !== event.index) complain('a delta of a block that is not open');
        else if (!deltasOf[open.kind].includes(event.delta.type)) complain(`no delta of a ${open.kind} block`);
        else if (open.isSigned) complain('a delta after the signature');
        else if (event.delta.type === 'signature_delta') open.isSigned = true;
        const [, text] = Object.values(event.delta);
        if (text === '') complain('an empty delta');
        break;
      }
      case 'content_block_stop':
        if (!open || open.index !== event.index) complain('the stop of a block that is not open');
        else if (open.kind === 'thinking' && !open.isSigned) complain('thoughts without a signature');
        open = undefined;
        break;
      case 'message_delta':
        if (open || phase !== 'blocks') complain('it does not follow the blocks');
        if ((event.delta.stop_reason === 'stop_sequence') !== (event.delta.stop_sequence !== null)) {
          complain('reason and string of the stop disagree');
        }
        if ((event.delta.stop_reason === 'tool_use') !== ids.size > 0 && event.delta.stop_reason === 'tool_use') {
          complain('tool_use without a tool');
        }
        phase = 'after';
        break;
      case 'message_stop':
        if (phase !== 'after') complain('it does not follow message_delta');
        phase = 'over';
        break;
      case 'ping':
        break;
    }
  }
  if (isWhole && phase !== 'over') problems.push('the stream has no end');
  return problems;
};
