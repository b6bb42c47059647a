import test from 'ava';
import { catalogue, type ErrorCode } from './catalogue.js';
import { CortexError } from './cortex-error.js';
import { toAnthropicError, toOpenAiError } from './envelope.js';

test('toOpenAiError has the four fields that clients read, and who made the error', (t) => {
  const { status, body, headers } = toOpenAiError(
    new CortexError('model_not_found', { model: 'm', available: ['a'] }),
    'gateway',
  );
  t.is(status, 404);
  t.like(body.error, {
    message: "Cannot find model 'm'",
    type: 'invalid_request_error',
    code: 'model_not_found',
    param: 'model',
    src: 'gateway',
    suggestion: 'Available models: a',
    model_id: 'm',
  });
  t.deepEqual(headers, {});
});

test("toOpenAiError says OpenAI's own sentence when a context is too long", (t) => {
  const { body } = toOpenAiError(new CortexError('context_length_exceeded', { prompt_len: 9, max: 8 }), 'neuron');
  t.regex(
    body.error.message,
    /This model's maximum context length is 8 tokens\. However, your messages resulted in 9 tokens/,
  );
  t.like(body.error, { code: 'context_length_exceeded', prompt_len: 9, max: 8 });
});

test('toOpenAiError gives whole seconds to retry after, at least 1 and at most 60', (t) => {
  const after = (retryAfterSeconds: number) =>
    toOpenAiError(new CortexError('rate_limit_exceeded', { reason: 'x', retryAfterSeconds }), 'neuron').headers[
      'retry-after'
    ];
  t.deepEqual([after(0), after(1.2), after(3600)], ['1', '2', '60']);
});

test('toOpenAiError tells clients not to retry what they would retry in vain', (t) => {
  const error = new CortexError('model_spec_conflict', { model: 'm', have: 'a', want: 'b' });
  t.deepEqual(toOpenAiError(error, 'neuron').headers, { 'x-should-retry': 'false' });
  t.deepEqual(toOpenAiError(new CortexError('shutting_down', {}), 'neuron').headers, { 'retry-after': '15' });
});

test('toOpenAiError keeps the text of an unexpected error inside, as its cause', (t) => {
  const secret = new TypeError('password is hunter2');
  const { status, body, cause } = toOpenAiError(secret, 'neuron');
  t.deepEqual([status, body.error.code], [500, 'internal_error']);
  t.false(JSON.stringify(body).includes('hunter2'));
  t.is(cause, secret);
});

test('toOpenAiError takes an error of another copy of the package, with a code this one does not know', (t) => {
  const foreign = Object.create(new CortexError('shutting_down', {}), {
    code: { value: 'code_of_tomorrow' },
    status: { value: 429 },
    suggestion: { value: undefined },
  }) as CortexError;
  const { status, body } = toOpenAiError(foreign, 'neuron');
  t.deepEqual([status, body.error.type, body.error.code], [429, 'rate_limit_error', 'code_of_tomorrow']);
});

test('toAnthropicError uses the types of that API', (t) => {
  const typeOf = (error: unknown) => toAnthropicError(error, 'gateway').body.error.type;
  t.is(typeOf(new CortexError('model_not_found', { model: 'm' })), 'not_found_error');
  t.is(typeOf(new CortexError('shutting_down', {})), 'overloaded_error');
  t.is(typeOf(new CortexError('body_too_large', { limitBytes: 1 })), 'request_too_large');
  t.is(typeOf(new Error('x')), 'api_error');
});

test('catalogue has only sane statuses and exit codes', (t) => {
  const exits = new Set([2, 65, 66, 69, 70, 75]);
  for (const code of Object.keys(catalogue) as ErrorCode[]) {
    const { status, exit } = catalogue[code];
    t.regex(code, /^[a-z][a-z0-9_]+$/);
    t.true(status >= 400 && status < 600 && status !== 402, `${code}: ${status}`);
    t.true(exits.has(exit), `${code}: ${exit}`);
  }
});
