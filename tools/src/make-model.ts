/**
 * Writes a model of a published size with random weights, for benchmarks and memory tests without a download.
 *
 * @example npm run make:model -- --like qwen3-0.6b --quant Q4_K_M build/qwen3-0.6b.gguf
 */
import { parseArgs } from 'node:util';
import { quantNames } from './random-model/mixture.js';
import { cutLayers, findSize } from './random-model/published-size.js';
import { writeModel } from './random-model/write-model.js';
import { architectures } from './shared/architectures.js';
import { runTool } from './shared/run-tool.js';

await runTool(async (args) => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      like: { type: 'string' },
      quant: { type: 'string', default: 'Q4_K_M' },
      seed: { type: 'string', default: '1' },
      layers: { type: 'string' },
    },
  });
  const [out] = positionals;
  const seed = Number(values.seed);
  const layers = values.layers === undefined ? 1 : Number(values.layers);
  const areNumbersFine = Number.isSafeInteger(seed) && Number.isSafeInteger(layers) && layers > 0;
  if (values.like === undefined || out === undefined || positionals.length > 1 || !areNumbersFine) {
    const names = architectures.flatMap((architecture) => architecture.sizes.map((size) => size.name));
    console.error('Usage: npm run make:model -- --like NAME [--quant FORMAT] [--layers N] [--seed N] OUT');
    console.error(`  NAME: ${names.join(' ')}\n  FORMAT: ${quantNames.join(' ')}`);
    return 2;
  }
  const whole = findSize(architectures, values.like);
  const size = values.layers === undefined ? whole : cutLayers(whole, layers);
  const { path, bytes, tensors } = writeModel(size, values.quant, seed, out);
  console.log(`${path}: ${tensors} tensors, ${(bytes / 1e9).toFixed(2)} GB`);
  return 0;
});
