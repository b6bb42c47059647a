import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Checkpoint, type GgufMetadata, openCheckpoint, type TensorEntry } from '@helexa/core';
import { type GgufField, makeGguf } from '@helexa/core/testing';
import { bindWeights, type VisionTower } from '@helexa/graph';
import test from 'ava';
import { ggufConfig } from './config.js';
import { qwen35 } from './qwen3-next.js';
import { ggufVision, parseVisionConfig, visionTower } from './vision.js';

const folder = fileURLToPath(new URL('../fixtures/dense', import.meta.url));
const formats = new Set(['F32', 'F16', 'BF16'] as const);
const bytesOf = ({ file, begin, end }: TensorEntry): Buffer => readFileSync(file).subarray(begin, end);

/** Names of a companion file by those of the fixture's tower. */
const companionName = (name: string): string =>
  name
    .replace('model.visual.', '')
    .replace(/^blocks\.(\d+)\./u, 'v.blk.$1.')
    .replace('norm1', 'ln1')
    .replace('norm2', 'ln2')
    .replace('attn.qkv', 'attn_qkv')
    .replace('attn.proj', 'attn_out')
    .replace('mlp.linear_fc1', 'ffn_up')
    .replace('mlp.linear_fc2', 'ffn_down')
    .replace('merger.norm', 'v.post_ln')
    .replace('merger.linear_fc1', 'mm.0')
    .replace('merger.linear_fc2', 'mm.2')
    .replace('patch_embed.proj', 'v.patch_embd')
    .replace('pos_embed', 'v.position_embd');

/** The fixture's tower as a companion file: one tensor of patches per frame. */
function companion(checkpoint: Checkpoint): Uint8Array {
  const tower = [...checkpoint.tensors.values()].filter(({ name }) => name.includes('visual.'));
  const tensors = tower.flatMap((entry) => {
    const name = companionName(entry.name);
    const [bytes, type] = [bytesOf(entry), entry.format];
    if (entry.shape.length !== 5) return [{ name, shape: entry.shape, type, bytes }];
    const [rows, channels, frames, height, width] = entry.shape as [number, number, number, number, number];
    const plane = 2 * height * width;
    return Array.from({ length: frames }, (_, frame) => ({
      name: frame === 0 ? name : `${name}.${frame}`,
      shape: [rows, channels, height, width],
      type,
      bytes: Buffer.concat(
        Array.from({ length: rows * channels }, (_, at) =>
          bytes.subarray((at * frames + frame) * plane, (at * frames + frame + 1) * plane),
        ),
      ),
    }));
  });
  return makeGguf({ metadata, tensors });
}

const u32 = (value: number): GgufField => ({ type: 'u32', value });
const metadata: Record<string, GgufField> = {
  'general.architecture': { type: 'string', value: 'clip' },
  'clip.projector_type': { type: 'string', value: 'qwen3vl_merger' },
  'clip.vision.image_size': u32(128),
  'clip.vision.patch_size': u32(16),
  'clip.vision.embedding_length': u32(48),
  'clip.vision.feed_forward_length': u32(96),
  'clip.vision.block_count': u32(3),
  'clip.vision.projection_dim': u32(64),
  'clip.vision.spatial_merge_size': u32(2),
  'clip.vision.attention.head_count': u32(4),
};

/** Every tensor of the tower's program, as its bytes. */
function contents(tower: VisionTower, checkpoint: Checkpoint): Map<string, string> {
  const named = new Map([...checkpoint.tensors].filter(([name]) => /visual\.|^v\.|^mm\./u.test(name)));
  const bound = bindWeights(tower.weights, { ...checkpoint, tensors: named }, 0, 1, formats);
  return new Map(
    bound.tensors.map(({ name, rows }, index) => {
      const fill = bound.fills[index]!;
      if (fill.kind !== 'read') return [name, fill.kind];
      const width = Math.max(...fill.ranges.map((range) => range.rowByte + range.rowBytes));
      const whole = Buffer.alloc(rows * width);
      for (const range of fill.ranges) {
        const file = readFileSync(range.entry.file);
        for (let row = 0; row < range.rows; row++) {
          const from = range.offset + row * range.strideBytes;
          file.copy(whole, (range.rowStart + row) * width + range.rowByte, from, from + range.rowBytes);
        }
      }
      return [name, whole.toString('base64')];
    }),
  );
}

test('visionTower reads the same bytes from a companion of a GGUF file as from safetensors', async (t) => {
  const hub = await openCheckpoint(folder);
  const path = mkdtempSync(join(tmpdir(), 'companion-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  writeFileSync(
    join(path, 'm.gguf'),
    makeGguf({
      metadata: {
        'general.architecture': { type: 'string', value: 'qwen35' },
        'qwen35.embedding_length': u32(64),
        'tokenizer.ggml.tokens': { type: 'array', of: 'string', value: ['a', '<|image_pad|>'] },
      },
      tensors: [],
    }),
  );
  writeFileSync(join(path, 'mmproj-m-BF16.gguf'), companion(hub));
  const gguf = await openCheckpoint(join(path, 'm.gguf'));
  const config = parseVisionConfig(ggufConfig(gguf.metadata), 'm.gguf');
  const wanted = parseVisionConfig(hub.config, 'config.json');
  t.deepEqual(config, { ...wanted!, imageToken: 1 });
  t.deepEqual(contents(visionTower(config!), gguf), contents(visionTower(wanted!), hub));
});

test('ggufVision knows no tower in a companion of another kind, width or vocabulary', (t) => {
  const given: GgufMetadata = new Map<string, never>([
    ...Object.entries(metadata).map(([key, { value }]) => [key, value as never] as const),
    ['tokenizer.ggml.tokens', ['<|image_pad|>'] as never],
  ]);
  t.true('vision_config' in ggufVision(given, 64));
  t.deepEqual(ggufVision(given, 128), {});
  t.deepEqual(ggufVision(new Map([...given, ['clip.projector_type', 'mlp']]), 64), {});
  t.deepEqual(ggufVision(new Map([...given, ['tokenizer.ggml.tokens', ['a']]]), 64), {});
  t.true(qwen35.capabilities.vision);
});
