import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  attentionBlock,
  contractVersion,
  defineArchitecture,
  fusedRow,
  listCheckpointTensors,
  matrixRow,
  named,
  vectorRow,
} from '@helexa/graph';

const [vocab, hidden, headDim, heads, keyDim, valueHeads, taps, eps] = [96, 32, 16, 2, 8, 2, 4, 1e-6];
const values = valueHeads * keyDim;
const channels = 2 * keyDim + values;
const name = (tensor: string) => named(tensor, '');
const [delta, attention] = [[0, 2], [1]];

/**
 * A family with every third layer of attention and a recurrent state in the others, which no sequence can be cut at. States
 * decay slowly: a wrong one shows hundreds of tokens later.
 */
export const hybridArchitecture = defineArchitecture<null>({
  name: 'hybrid',
  contractVersion,
  modelTypes: ['hybrid'],
  ggufArchitectures: [],
  capabilities: { tensorParallel: 'its tables have no cuts', rewind: false, vision: false },
  parseConfig: () => null,
  ggufConfig: () => ({}),
  facts: () => {
    const state = {
      kind: 'recurrent',
      convElements: (taps - 1) * channels,
      deltaElements: values * keyDim,
    } as const;
    return { vocab, hidden, layers: 3, maxContext: 512, state: [state, { kind: 'kv', kvHeads: 1, headDim }, state] };
  },
  weights: () => ({
    rows: [
      matrixRow('embed', [vocab, hidden], name('embed'), { lookup: true }),
      vectorRow('norm', hidden, name('layers.{layer}.norm'), { layers: [...delta, ...attention] }),
      vectorRow(
        'inverseFrequency',
        headDim / 2,
        { safetensors: [], gguf: [] },
        {
          compute: () => Float32Array.from({ length: headDim / 2 }, (_, index) => 100 ** ((-2 * index) / headDim)),
        },
      ),
      fusedRow(
        'qkv',
        hidden,
        ['q', 'k', 'v'].map((part) => ({
          name: part,
          rows: (part === 'q' ? heads : 1) * headDim,
          ...name(`layers.{layer}.${part}`),
        })),
        { layers: attention },
      ),
      matrixRow('attnOut', [hidden, heads * headDim], name('layers.{layer}.out'), { layers: attention }),
      matrixRow('mixed', [channels, hidden], name('layers.{layer}.mixed'), { layers: delta }),
      matrixRow('conv', [channels, taps], name('layers.{layer}.conv'), { layers: delta }),
      fusedRow(
        'gates',
        hidden,
        ['b', 'a'].map((part) => ({ name: part, rows: valueHeads, ...name(`layers.{layer}.${part}`) })),
        { layers: delta },
      ),
      vectorRow(
        'decay',
        valueHeads,
        { safetensors: [{ tensor: 'layers.{layer}.decay', map: (value) => -value / 400 }], gguf: [] },
        { layers: delta },
      ),
      vectorRow('dtBias', valueHeads, name('layers.{layer}.dt'), { layers: delta }),
      matrixRow('deltaOut', [hidden, values], name('layers.{layer}.deltaOut'), { layers: delta }),
      matrixRow('head', [vocab, hidden], name('head')),
    ],
    ignored: [],
  }),
  forward(b) {
    const rotary = { headDim, rotaryDim: headDim, attentionFactor: 1 };
    let x = b.embed(b.weight('embed'));
    for (let layer = 0; layer < 3; layer++)
      b.layer(layer, () => {
        const normed = b.rmsNorm(x, b.weight('norm'), eps);
        if (attention.includes(layer)) {
          x = b.add(x, attentionBlock(b, normed, { rotary, eps }));
          return;
        }
        const qkv = b.conv1dSilu(b.linear(normed, b.weight('mixed')), b.weight('conv'));
        const gates = b.linear(normed, b.weight('gates'));
        const [write, forget] = [b.segment(gates, 0), b.segment(gates, 1)];
        const { beta, g } = b.deltaGates(write, forget, b.weight('decay'), b.weight('dtBias'));
        const y = b.gatedDelta(qkv, beta, g, { keyDim, valueDim: keyDim, tiled: false });
        x = b.add(x, b.linear(y, b.weight('deltaOut')));
      });
    b.sample(b.linear(b.gatherRows(x), b.weight('head')));
  },
  sizes: [],
});

/** A checkpoint of the family with fixed pseudo-random weights in a temporary folder, which `dispose` removes. */
export function hybridCheckpoint(): { readonly path: string; dispose(): void } {
  const path = mkdtempSync(join(tmpdir(), 'neuron-hybrid-'));
  const header: Record<string, object> = {};
  const parts: Uint8Array[] = [];
  let begin = 0;
  for (const { name: tensor, shape } of listCheckpointTensors(hybridArchitecture.weights(null), 'safetensors')) {
    const length = shape.reduce((product, size) => product * size, 1);
    const scale = shape.length === 1 ? 1 : 2 / Math.sqrt(shape[1]!);
    // A sine of large steps is noise enough.
    const bytes = Float32Array.from(
      { length },
      (_, index) => scale * Math.sin((begin + index + 1) * 12.9898) + (shape.length === 1 ? 1.5 : 0),
    );
    header[tensor] = { dtype: 'F32', shape, data_offsets: [begin, begin + bytes.byteLength] };
    parts.push(new Uint8Array(bytes.buffer));
    begin += bytes.byteLength;
  }
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(join(path, 'model.safetensors'), Buffer.concat([size, text, ...parts]));
  writeFileSync(join(path, 'config.json'), JSON.stringify({ model_type: 'hybrid' }));
  return { path, dispose: () => rmSync(path, { recursive: true, force: true }) };
}
