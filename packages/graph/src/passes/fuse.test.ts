import test from 'ava';
import { nullBackend } from '../backends/null.js';
import { compileTiny } from '../testing/tiny-model.js';

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
