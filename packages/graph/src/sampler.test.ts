import test from 'ava';
import fc from 'fast-check';
import { chooseToken, randomUnit, type SamplingRequest } from './sampler.js';

const request = (logits: readonly number[], changes: Partial<SamplingRequest> = {}): SamplingRequest => ({
  logits: Float32Array.from(logits),
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  seedLow: 0,
  seedHigh: 0,
  topLogprobs: 0,
  biasToken: [],
  biasValue: [],
  history: [],
  promptLength: 0,
  counter: 0,
  ...changes,
});

/** Tokens that 400 draws with different counters come to, with how often. */
function drawn(base: SamplingRequest): Map<number, number> {
  const counts = new Map<number, number>();
  for (let counter = 0; counter < 400; counter++) {
    const { token } = chooseToken({ ...base, counter });
    counts.set(token, (counts.get(token) ?? 0) + 1);
  }
  return counts;
}

const tokensOf = (base: SamplingRequest): number[] => [...drawn(base).keys()].sort((a, b) => a - b);

/** Published outputs of splitmix64 from seed 1234567, then the same function computed in Python. */
const vectors: readonly (readonly [low: number, high: number, counter: number, output: bigint])[] = [
  [1234567, 0, 0, 6457827717110365317n],
  [1234567, 0, 1, 3203168211198807973n],
  [1234567, 0, 2, 9817491932198370423n],
  [0, 0, 0, 0xe220a8397b1dcdafn],
  [1, 0, 0, 0x910a2dec89025cc1n],
  [77, 5, 3, 0xf63cce83068f2505n],
  [0xffffffff, 0xffffffff, 2147483647, 0xe478654d2c0a5f3fn],
];

test('randomUnit is the top 53 bits of splitmix64', (t) => {
  for (const [low, high, counter, output] of vectors)
    t.is(randomUnit(low, high, counter), Number(output >> 11n) / 2 ** 53);
  // A seed read as a signed word is the same seed.
  t.is(randomUnit(-1, -1, 0), randomUnit(0xffffffff, 0xffffffff, 0));
});

test('chooseToken takes the largest logit when greedy, of equals the lowest id', (t) => {
  t.is(chooseToken(request([1, 3, 2, 3], { temperature: 0 })).token, 1);
  t.is(chooseToken(request([1, 3, 2, 3.5], { temperature: -1 })).token, 3);
});

test('chooseToken walks the tokens from the most probable on', (t) => {
  // Weights 1, 2 and 5 of 8: the order is 2, 1, 0 and its borders are 0.625 and 0.875.
  const logits = [0, Math.log(2), Math.log(5)];
  for (const [low, counter] of [
    [0, 0],
    [1, 0],
    [77, 3],
    [5, 9],
    [6, 1],
    [7, 2],
  ] as const) {
    const u = randomUnit(low, 0, counter);
    const wanted = u < 0.625 ? 2 : u < 0.875 ? 1 : 0;
    t.is(chooseToken(request(logits, { seedLow: low, counter })).token, wanted, `u = ${u}`);
  }
});

test('chooseToken draws as often as the probabilities say', (t) => {
  const counts = drawn(request([0, Math.log(2), Math.log(5)]));
  // 400 draws of probability p vary by sqrt(400 p (1 - p)), at most 10: four deviations. Weights of 1, 1 and 1 give 133.
  for (const [token, share] of [
    [0, 1 / 8],
    [1, 2 / 8],
    [2, 5 / 8],
  ] as const)
    t.true(Math.abs(counts.get(token)! - 400 * share) < 40, `${token}: ${counts.get(token)}`);
});

test('chooseToken divides by the temperature before the softmax', (t) => {
  const logits = [0, Math.log(2), Math.log(5)];
  // At 0.5 the weights are 1, 4 and 25 of 30.
  t.true(Math.abs(drawn(request(logits, { temperature: 0.5 })).get(2)! - 400 * (25 / 30)) < 32);
});

test('chooseToken keeps the k largest, of equals the lower ids', (t) => {
  t.deepEqual(tokensOf(request([1, 1, 1, 1, 2], { topK: 3 })), [0, 1, 4]);
  t.deepEqual(tokensOf(request([1, 1, 1, 1, 2], { topK: 9 })), [0, 1, 2, 3, 4]);
});

test('chooseToken keeps the shortest run that reaches top-p, at least one token', (t) => {
  const logits = [Math.log(10), Math.log(40), Math.log(20), Math.log(30)];
  t.deepEqual(tokensOf(request(logits, { topP: 0.69 })), [1, 3]);
  t.deepEqual(tokensOf(request(logits, { topP: 0.71 })), [1, 2, 3]);
  t.deepEqual(tokensOf(request(logits, { topP: 0 })), [1]);
  // Inside the top 2, where 40 and 30 of 70 are left.
  t.deepEqual(tokensOf(request(logits, { topK: 2, topP: 0.56 })), [1]);
  t.deepEqual(tokensOf(request(logits, { topK: 2, topP: 0.58 })), [1, 3]);
});

test('chooseToken drops what is less probable than min-p of the best', (t) => {
  const logits = [Math.log(10), Math.log(40), Math.log(20), Math.log(30)];
  t.deepEqual(tokensOf(request(logits, { minP: 0.51 })), [1, 3]);
  t.deepEqual(tokensOf(request(logits, { minP: 0.49 })), [1, 2, 3]);
});

test('chooseToken penalises repetition by the sign of the logit, once for each token', (t) => {
  const greedy = { temperature: 0, repetitionPenalty: 2, history: [0, 0, 0, 2] };
  t.is(chooseToken(request([3, 1.6, -1], greedy)).token, 1);
  t.is(chooseToken(request([3, 1.4, -1], greedy)).token, 0);
  t.is(chooseToken(request([-3, -1.9, -1], { ...greedy, history: [2] })).token, 1);
  t.is(chooseToken(request([-3, -2.1, -1], { ...greedy, history: [2] })).token, 2);
});

test('chooseToken penalises presence and frequency in the output only', (t) => {
  const history = [0, 0, 0, 1, 1];
  const greedy = { temperature: 0, history, promptLength: 3, frequencyPenalty: 0.5, presencePenalty: 0.25 };
  // Token 1 loses 2 * 0.5 + 0.25, token 0 nothing.
  t.is(chooseToken(request([1, 2.26], greedy)).token, 1);
  t.is(chooseToken(request([1, 2.24], greedy)).token, 0);
  // Without a prompt token 0 loses 3 * 0.5 + 0.25 more: -0.75 is left of it, and -0.65 of token 1.
  t.is(chooseToken(request([1, 0.6], { ...greedy, promptLength: 0 })).token, 1);
  t.is(chooseToken(request([1, 0.6], greedy)).token, 0);
});

test('chooseToken adds biases after the penalties', (t) => {
  const biased = { temperature: 0, biasToken: [1], biasValue: [1.5], repetitionPenalty: 2, history: [1] };
  t.is(chooseToken(request([1.9, 1], biased)).token, 1);
  t.is(chooseToken(request([2.1, 1], biased)).token, 0);
});

test('chooseToken reports log-probabilities of the raw logits', (t) => {
  const logits = [Math.log(1), Math.log(2), Math.log(5)];
  const choice = chooseToken(
    request(logits, {
      temperature: 0,
      biasToken: [0],
      biasValue: [9],
      topLogprobs: 2,
      repetitionPenalty: 3,
      history: [2],
    }),
  );
  t.is(choice.token, 0);
  // The logits are float32: log(5) is off by at most 6e-8. The biased logits would give a log-probability near 0.
  t.true(Math.abs(choice.logprob - Math.log(1 / 8)) < 1e-6);
  t.deepEqual(
    choice.top.map((entry) => entry.token),
    [2, 1],
  );
  t.true(Math.abs(choice.top[0]!.logprob - Math.log(5 / 8)) < 1e-6);
  t.deepEqual(chooseToken(request(logits, { temperature: 0, topLogprobs: -1 })), {
    token: 2,
    flags: 0,
    logprob: 0,
    top: [],
  });
});

test('chooseToken flags a NaN or an infinity and passes over excluded tokens', (t) => {
  t.deepEqual(chooseToken(request([1, Number.NaN])), { token: -1, flags: 1, logprob: 0, top: [] });
  t.is(chooseToken(request([1, Number.POSITIVE_INFINITY])).flags, 1);
  t.deepEqual(tokensOf(request([1, Number.NEGATIVE_INFINITY, 0])), [0, 2]);
  t.is(chooseToken(request([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY])).token, -1);
});

test('chooseToken does not depend on a shift of all logits', (t) => {
  const quarters = fc.array(fc.integer({ min: -20, max: 20 }), { minLength: 2, maxLength: 40 });
  fc.assert(
    fc.property(quarters, fc.nat(1000), fc.integer({ min: -8, max: 8 }), (integers, counter, shift) => {
      const options = { counter, topP: 0.9, topK: 7, temperature: 0.8 };
      const plain = chooseToken(
        request(
          integers.map((value) => value / 4),
          options,
        ),
      );
      const shifted = chooseToken(
        request(
          integers.map((value) => value / 4 + shift),
          options,
        ),
      );
      return plain.token === shifted.token;
    }),
    { seed: 3 },
  );
  t.pass();
});
