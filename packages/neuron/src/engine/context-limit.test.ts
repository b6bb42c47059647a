import test from 'ava';
import { contextLimit, refusePrompt } from './context-limit.js';

const target = { seconds: 120, assumedTokensPerSecond: 800 };

test('contextLimit is what model and memory allow while prompts are fast enough', (t) => {
  t.deepEqual(contextLimit(40_000, target, null), { context: 40_000, input: 31_808, output: 8192 });
  t.deepEqual(contextLimit(512, target, null), { context: 512, input: 256, output: 256 });
  t.deepEqual(contextLimit(1_000_000, null, 1), { context: 1_000_000, input: 991_808, output: 8192 });
});

test('contextLimit follows the assumed, then the measured speed, in units of 1024 and never to nothing', (t) => {
  t.is(contextLimit(262_144, target, null).context, 95_232);
  t.is(contextLimit(262_144, target, 100).context, 11_264);
  t.is(contextLimit(262_144, target, 0.5).context, 1024);
  t.is(contextLimit(512, target, 0.5).context, 512);
});

test('refusePrompt takes every prompt up to the advertised input, and a longer one that asks for less output', (t) => {
  const limit = contextLimit(1000, null, null);
  const isRefused = (prompt: number, maxTokens: number) =>
    t.throws(() => refusePrompt(limit, prompt, maxTokens), { code: 'context_length_exceeded' });
  for (const maxTokens of [1, 500, 8192]) t.notThrows(() => refusePrompt(limit, limit.input, maxTokens));
  t.notThrows(() => refusePrompt(limit, 999, 1));
  t.like(isRefused(limit.input + 1, 8192), { details: { max: 500, prompt_len: 501 } });
  isRefused(1000, 1);
});
