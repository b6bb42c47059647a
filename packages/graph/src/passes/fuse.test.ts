import test from 'ava';
import type { Architecture } from '../architecture.js';
import { nullBackend } from '../backends/null.js';
import { attentionBlock } from '../blocks/attention.js';
import { gatedMlpBlock } from '../blocks/gated-mlp.js';
import { compileTiny, type TinyConfig, tiny, tinyWeights } from '../testing/tiny-model.js';

const linesOf = (text: string): string[] => text.trim().split('\n').slice(1);
const opsOf = (text: string): string[] => linesOf(text).map((line) => line.split(' ')[2]!);
const layerOf = (text: string): string[] => opsOf(text).slice(1, 9);

test('fuse makes a layer of eight instructions on a backend that has every fused op', (t) => {
  t.deepEqual(layerOf(compileTiny().programs[0]!.text), [
    'rms_norm',
    'linear',
    'qk_norm_rope_append',
    'attend',
    'linear_add',
    'rms_norm',
    'linear_swiglu',
    'linear_add',
  ]);
});

test('fuse makes only what the backend lists', (t) => {
  const ops = opsOf(compileTiny({ backend: nullBackend({ fusions: ['linear_swiglu'] }) }).programs[0]!.text);
  t.true(ops.includes('linear_swiglu'));
  t.false(ops.some((op) => ['linear_add', 'add_rms_norm', 'qk_norm_rope_append'].includes(op)));
});

test('fuse joins a sum with its norm where a collective keeps the projection apart', (t) => {
  const ops = opsOf(compileTiny({ ranks: 2 }).programs[0]!.text);
  t.false(ops.includes('linear_add'));
  // Two norms in each of two layers; the first reads the embedding and the last sampled rows only.
  t.is(ops.filter((op) => op === 'add_rms_norm').length, 3);
});

test('fuse rotates heads without norms, and leaves their weights out', (t) => {
  const { text } = compileTiny({ config: { norms: false } }).programs[0]!;
  const line = linesOf(text).find((candidate) => candidate.includes('qk_norm_rope_append'));
  t.regex(line!, /\| inverseFrequency=inverseFrequency \|/u);
  t.notRegex(line!, /qNorm=/u);
});

test('fuse hands quantised rows on only where every reader multiplies them with block-quantised weights', (t) => {
  const backend = nullBackend({ quantises: true });
  const quantised = (format: (slot: string) => 'Q8_0' | 'BF16') =>
    linesOf(compileTiny({ backend, format }).programs[0]!.text).filter((line) => / quantised=/u.test(line));
  const makers = (lines: readonly string[]) => lines.filter((line) => line.indexOf(' quantised=') < line.indexOf('<-'));
  const all = quantised(() => 'Q8_0');
  // In each layer two norms, the attention and the gated product, and the last norm.
  t.is(makers(all).length, 2 * 4 + 1);
  t.is(all.filter((line) => /<-.* quantised=/u.test(line)).length, 2 * 4 + 1);
  t.is(quantised(() => 'BF16').length, 0);
  const mixed = quantised((slot) => (slot.endsWith('.down') ? 'BF16' : 'Q8_0'));
  t.is(makers(mixed).length, 2 * 3 + 1);
});

test('fuse hands no quantised row on to two readers of which one multiplies it with plain weights', (t) => {
  // Attention and MLP side by side read the same norm.
  const parallel: Architecture = {
    ...tiny,
    weights: (config) => {
      const table = tinyWeights(config as TinyConfig);
      return { ...table, rows: table.rows.filter((row) => row.slot !== 'mlpNorm') };
    },
    forward: (b) => {
      let x = b.embed(b.weight('embed'));
      for (const layer of [0, 1])
        b.layer(layer, () => {
          const normed = b.rmsNorm(x, b.weight('attnNorm'), 1e-6);
          const rotary = { headDim: 16, rotaryDim: 16, attentionFactor: 1 };
          x = b.add(b.add(x, attentionBlock(b, normed, { rotary, eps: 1e-6 })), gatedMlpBlock(b, normed));
        });
      b.sample(b.linear(b.rmsNorm(b.gatherRows(x), b.weight('finalNorm'), 1e-6), b.weight('head')));
    },
  };
  const norms = (plain: string): number => {
    const format = (slot: string) => (slot.endsWith(plain) ? 'BF16' : 'Q8_0');
    const backend = nullBackend({ quantises: true });
    const lines = linesOf(compileTiny({ architecture: parallel, backend, format }).programs[0]!.text);
    return lines.filter((line) => /norm .* y=layers\.\d\.attnNorm@\S+ quantised=/u.test(line)).length;
  };
  t.deepEqual([norms('none'), norms('.qkv'), norms('.gateUp')], [2, 0, 0]);
});
