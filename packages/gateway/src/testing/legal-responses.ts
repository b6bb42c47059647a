import { isDeepStrictEqual } from 'node:util';
import { type ResponsesOutputItem, responsesStreamEvent } from '@helexa/core';

interface Open {
  readonly item: ResponsesOutputItem;
  text: string;
  hasPart: boolean;
  isTextDone: boolean;
  isPartDone: boolean;
  isDone: boolean;
}

/**
 * What strict clients of OpenAI Responses would refuse in a sequence of events: an empty list is a legal stream. `isWhole` asks
 * for its end too.
 */
export const problemsOfResponses = (events: readonly unknown[], isWhole = true): string[] => {
  const problems: string[] = [];
  const items: Open[] = [];
  const done: ResponsesOutputItem[] = [];
  let phase: 'before' | 'created' | 'items' | 'over' = 'before';
  let responseId = '';
  for (const [at, raw] of events.entries()) {
    const complain = (what: string): void => void problems.push(`event ${at}: ${what}: ${JSON.stringify(raw)}`);
    const parsed = responsesStreamEvent.safeParse(raw);
    if (!parsed.success || !isDeepStrictEqual(parsed.data, raw)) {
      complain(`it has not the shape of an event${parsed.success ? '' : ` (${parsed.error.message})`}`);
      continue;
    }
    const event = parsed.data;
    if (event.sequence_number !== at) complain('a gap in the numbers');
    if (phase === 'over') complain('it comes after the end');
    const openItem = (type: ResponsesOutputItem['type'], where: { output_index: number; item_id: string }) => {
      const open = items[where.output_index];
      if (open?.item.type === type && open.item.id === where.item_id && !open.isDone) return open;
      complain(`no open ${type} of this id at this index`);
      return undefined;
    };
    switch (event.type) {
      case 'response.created':
        if (phase !== 'before' || event.response.status !== 'in_progress') complain('a start in the middle');
        responseId = event.response.id;
        phase = 'created';
        break;
      case 'response.in_progress':
        if (phase !== 'created') complain('it does not follow the start');
        phase = 'items';
        break;
      case 'response.output_item.added': {
        const { item } = event;
        if (phase !== 'items') complain('it comes before the start');
        if (event.output_index !== items.length) complain(`the index ${items.length} is wanted`);
        if (items.some((open) => open.item.id === item.id)) complain('an id twice');
        if (item.status !== 'in_progress') complain('it does not begin in progress');
        items.push({ item, text: '', hasPart: false, isTextDone: false, isPartDone: false, isDone: false });
        break;
      }
      case 'response.reasoning_summary_part.added':
      case 'response.content_part.added': {
        const open = openItem(event.type.includes('content') ? 'message' : 'reasoning', event);
        if (open?.hasPart) complain('a second part');
        if (open) open.hasPart = true;
        break;
      }
      case 'response.reasoning_summary_text.delta':
      case 'response.output_text.delta': {
        const open = openItem(event.type.includes('output') ? 'message' : 'reasoning', event);
        if (!open?.hasPart || open.isTextDone) complain('text outside of a part');
        if (event.delta === '') complain('an empty delta');
        if (open) open.text += event.delta;
        break;
      }
      case 'response.reasoning_summary_text.done':
      case 'response.output_text.done': {
        const open = openItem(event.type.includes('output') ? 'message' : 'reasoning', event);
        if (open?.text !== event.text) complain('the whole is not its deltas');
        if (open) open.isTextDone = true;
        break;
      }
      case 'response.reasoning_summary_part.done':
      case 'response.content_part.done': {
        const open = openItem(event.type.includes('content') ? 'message' : 'reasoning', event);
        if (!open?.isTextDone || open.text !== event.part.text) complain('the part is not its text');
        if (open) open.isPartDone = true;
        break;
      }
      case 'response.function_call_arguments.delta': {
        const open = openItem('function_call', event);
        if (open?.isTextDone) complain('arguments after their end');
        if (open) open.text += event.delta;
        break;
      }
      case 'response.function_call_arguments.done': {
        const open = openItem('function_call', event);
        if (open?.text !== event.arguments) complain('the whole is not its deltas');
        const { item } = open ?? {};
        if (item?.type === 'function_call' && (item.call_id !== event.call_id || item.name !== event.name)) {
          complain('another call');
        }
        if (open) open.isTextDone = true;
        break;
      }
      case 'response.output_item.done': {
        const open = openItem(event.item.type, { output_index: event.output_index, item_id: event.item.id });
        if (!open?.isTextDone || (event.item.type !== 'function_call' && !open.isPartDone))
          complain('it is not complete');
        if (event.item.status === 'in_progress') complain('it ends in progress');
        if (open) open.isDone = true;
        done[event.output_index] = event.item;
        break;
      }
      case 'response.completed':
      case 'response.incomplete': {
        const { response } = event;
        if (phase !== 'items' || items.some(({ isDone }) => !isDone)) complain('something is still open');
        if (!isDeepStrictEqual(response.output, done)) complain('the output is not the items');
        if (event.type !== `response.${response.status}`) complain('its status disagrees');
        if ((response.incomplete_details !== null) !== (response.status === 'incomplete')) complain('no reason');
        if (response.id !== responseId) complain('another response');
        phase = 'over';
        break;
      }
      case 'response.failed':
        if (phase === 'before') complain('it comes before the start');
        if (event.response.error === null || event.response.status !== 'failed') complain('a failure without an error');
        if (event.response.id !== responseId) complain('another response');
        phase = 'over';
        break;
    }
  }
  if (isWhole && phase !== 'over') problems.push('the stream has no end');
  return problems;
};
