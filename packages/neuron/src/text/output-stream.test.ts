import test from 'ava';
import { loadTokenizer } from './load-tokenizer.js';
import type { OutputEvent } from './output-event.js';
import { detectOutputFormat } from './output-format.js';
import { OutputStream } from './output-stream.js';

const tokenizer = loadTokenizer(new URL('../../fixtures/tiny', import.meta.url).pathname);
const format = detectOutputFormat(tokenizer, '<tool_call>');
const encode = (text: string) => tokenizer.encode(text, { special: false });

function run(output: string, options: { stops?: string[]; prompt?: string; tools?: boolean } = {}) {
  const stream = new OutputStream({
    tokenizer,
    stops: options.stops ?? [],
    chat: {
      format,
      prompt: encode(options.prompt ?? '<|im_start|>assistant\n'),
      tools: options.tools === false ? null : [],
      newCallId: () => 'call_x',
    },
  });
  const events: OutputEvent[] = [];
  let isStopped = false;
  for (const id of encode(output)) {
    const step = stream.push(id);
    events.push(...step.events);
    isStopped = step.isStopped;
    if (isStopped) break;
  }
  events.push(...stream.end());
  const text = (type: string) =>
    events.map((event) => (event.type === type && 'text' in event ? event.text : '')).join('');
  const calls = events.filter((event) => event.type === 'tool-call');
  return {
    content: text('content'),
    reasoning: text('reasoning'),
    calls,
    isStopped,
    reasoningTokens: stream.reasoningTokens,
  };
}

test('detectOutputFormat finds the marks that are tokens', (t) => {
  t.is(format.reasoning?.openId, tokenizer.idOf('<think>'));
  t.is(format.tools?.dialect.name, 'marked-json');
  t.is(detectOutputFormat(tokenizer, 'no calls here').tools, null);
});

test('OutputStream tells apart by token ids and counts reasoning without its marks', (t) => {
  const thought = '\nbecause\n';
  const { content, reasoning, calls, reasoningTokens } = run(
    `<think>${thought}</think>\n\nYes <tool_call>{"name":"f","arguments":{}}</tool_call>`,
  );
  t.is(reasoning, 'because');
  t.is(content, 'Yes ');
  t.is(calls.length, 1);
  t.is(reasoningTokens, encode(thought).length);
});

test('OutputStream starts in reasoning when the prompt ends in an open mark', (t) => {
  t.is(run('hm</think>ok', { prompt: '<|im_start|>assistant\n<think>\n' }).reasoning, 'hm');
  t.is(run('hm</think>ok', { prompt: '<|im_start|>assistant\n<think>\nLet me' }).reasoning, 'hm');
  t.is(run('ok', { prompt: '<|im_start|>assistant\n<think>\n\n</think>\n\n' }).content, 'ok');
  t.is(run('ok', { prompt: 'what is <think>?<|im_end|>\n<|im_start|>assistant\n' }).content, 'ok');
});

test('OutputStream stops at a stop string and shows nothing of it', (t) => {
  const { content, isStopped } = run('one two STOP three', { stops: ['STOP'] });
  t.is(content, 'one two ');
  t.true(isStopped);
});

test('OutputStream stops at a mark that is itself a stop string', (t) => {
  const { reasoning, content, isStopped } = run('<think>a</think>b', { stops: ['</think>'] });
  t.deepEqual({ reasoning, content, isStopped }, { reasoning: 'a', content: '', isStopped: true });
});

test('OutputStream leaves out special tokens and keeps marks as text when no tools are offered', (t) => {
  const { content } = run('a<|im_start|>b<tool_call>c', { tools: false });
  t.is(content, 'ab<tool_call>c');
});
