import { type OpDefinition, sameState } from '../op.js';
import { chooseToken } from '../sampler.js';
import { maskWords, sampled } from '../step.js';
import { activationBytes, columnsOf, expect, inputShape, neverPartial, refuse } from './rules.js';
import { readSampling } from './sampling-slot.js';

/** Chooses one token per sampled row by its slot's sampling parameters; rank 0 only, which needs all columns. */
export const sample: OpDefinition = {
  name: 'sample',
  shape(node) {
    const logits = inputShape(node, 0);
    expect(node, logits.rows === 'sampled', () => `logits of '${logits.rows}'; one row for each sampled one is wanted`);
    return [];
  },
  shard(node) {
    const [logits] = node.inputs;
    if (logits?.kind === 'split') return { gather: 0 };
    return logits && sameState(logits, { kind: 'mirrored' })
      ? { outputs: [] }
      : refuse('the logits are missing', 'whole logits are wanted');
  },
  acceptsPartial: neverPartial,
  cost: (node) => ({
    macs: 4 * node.rows * columnsOf(node.inputs[0]!),
    weightBytes: 0,
    activationBytes: activationBytes(node),
  }),
  reference(context) {
    if (context.rank !== 0) return;
    const logits = context.input('logits');
    const { layout, i32, f32 } = context.step;
    for (let row = 0; row < context.rows; row++) {
      const from = logits.offset + row * logits.stride;
      const values = Float32Array.from(logits.data.subarray(from, from + logits.width));
      if (layout.limits.exposeLogits) f32.set(values, layout.logits + row * layout.limits.vocab);
      const words = maskWords(layout.limits.vocab);
      const mask = layout.masks + row * words;
      const choice = chooseToken({
        ...readSampling(context.step, i32[layout.sampleSlot + row]!),
        logits: values,
        counter: i32[layout.sampleCounter + row]!,
        ...(i32[layout.sampleMasked + row] === 1 ? { mask: i32.subarray(mask, mask + words) } : {}),
      });
      const at = layout.output + row * sampled.size;
      i32[at + sampled.token] = choice.token;
      i32[at + sampled.flags] = choice.flags;
      f32[at + sampled.logprob] = choice.logprob;
      const top = row * layout.limits.maxTopLogprobs;
      for (let i = 0; i < layout.limits.maxTopLogprobs; i++) {
        i32[layout.topToken + top + i] = choice.top[i]?.token ?? -1;
        f32[layout.topLogprob + top + i] = choice.top[i]?.logprob ?? Number.NEGATIVE_INFINITY;
      }
    }
  },
};
