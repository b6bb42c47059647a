import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CortexError } from '@helexa/core';
import { type GgufField, makeGguf, makeSafetensors, safetensorsFile } from '@helexa/core/testing';
import { type Architecture, createArchitectureRegistry, listCheckpointTensors, nullBackend } from '@helexa/graph';
import test, { type ExecutionContext } from 'ava';
import { type MockFault, type MockFile, startMockRegistry } from '../testing/mock-registry.js';
import { openTestSources } from '../testing/test-sources.js';
import { tinyArchitecture, tinyModelPath } from '../testing/tiny-architecture.js';
import { type PreflightOptions, type PreflightReport, preflight } from './preflight.js';

const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const tinyConfig = JSON.parse(readFileSync(join(tinyModelPath, 'config.json'), 'utf8')) as Record<string, unknown>;
const config = text(tinyConfig);
/** The tiny family, which reads GGUF too: its tensors have the same names there. */
const architecture: Architecture = {
  ...tinyArchitecture,
  ggufArchitectures: ['tiny'],
  ggufConfig: () => tinyConfig,
  weights: (parsed) => {
    const table = tinyArchitecture.weights(parsed);
    const rows = table.rows.map((row) => ({
      ...row,
      segments: row.segments.map((segment) => ({ ...segment, gguf: segment.safetensors })),
    }));
    return { ...table, rows };
  },
};
const tensors = listCheckpointTensors(
  architecture.weights(architecture.parseConfig(tinyConfig, 'config.json')),
  'safetensors',
);

type Change = (entry: { name: string; shape: readonly number[]; dtype: string }) => typeof entry | null;

/** The header of a safetensors file with its data only promised. */
function dense(keep: (index: number) => boolean = () => true, change: Change = (entry) => entry, more: string[] = []) {
  let at = 0;
  const wanted = tensors
    .filter((_, index) => keep(index))
    .map(({ name, shape }) => change({ name, shape, dtype: 'BF16' }));
  const all = [
    ...wanted.filter((entry) => entry !== null),
    ...more.map((name) => ({ name, shape: [2], dtype: 'BF16' })),
  ];
  const entries = all.map(({ name, shape, dtype }) => {
    const begin = at;
    at += shape.reduce((product, size) => product * size, 1) * (dtype === 'BF16' ? 2 : 1);
    return [name, { dtype, shape, data_offsets: [begin, at] }];
  });
  const head = safetensorsFile(JSON.stringify(Object.fromEntries(entries)));
  return { head, bytes: head.length + at };
}

/** The header of a GGUF file with its data only promised. */
function gguf(keep: (index: number) => boolean = () => true, split: readonly [number, number] | null = null): MockFile {
  const u16 = (value: number): GgufField => ({ type: 'u16', value });
  const metadata: Record<string, GgufField> = {
    'general.architecture': { type: 'string', value: 'tiny' },
    ...(split ? { 'split.no': u16(split[0]), 'split.count': u16(split[1]) } : {}),
  };
  const kept = tensors.filter((_, index) => keep(index));
  const sized = kept.map(({ name, shape }) => ({
    name,
    shape,
    type: 'BF16',
    bytes: new Uint8Array(2 * shape.reduce((product, size) => product * size, 1)),
  }));
  const whole = makeGguf({ metadata, tensors: sized });
  const empty = makeGguf({ metadata, tensors: sized.map((tensor) => ({ ...tensor, bytes: new Uint8Array() })) });
  return { head: whole.subarray(0, empty.length), bytes: whole.length };
}

const half = (parity: number) => (index: number) => index % 2 === parity;
const index = (fileOf: (position: number) => string) =>
  text({ weight_map: Object.fromEntries(tensors.map(({ name }, position) => [name, fileOf(position)])) });
const shard = (position: number) => `model-0000${(position % 2) + 1}-of-00002.safetensors`;
const shards = {
  'model-00001-of-00002.safetensors': dense(half(0)),
  'model-00002-of-00002.safetensors': dense(half(1)),
};
const one = { 'config.json': config, 'model.safetensors': dense() };
const readme = new Uint8Array([35]);
/** The tower of another model: its tensors are left alone. */
const tower = makeGguf({
  metadata: { 'general.architecture': { type: 'string', value: 'clip' } },
  tensors: [{ name: 'v.patch_embd.bias', shape: [4], type: 'F32', bytes: new Uint8Array(16) }],
});
const quants = {
  'tiny-Q4_K_M.gguf': gguf(),
  'tiny-Q6_K.gguf': gguf(),
  'tiny-Q8_0.gguf': gguf(),
  'mmproj-tiny-F16.gguf': tower,
  'tiny-imatrix.gguf': readme,
};

type Outcome = Partial<Pick<PreflightReport, 'ok' | 'format' | 'gguf' | 'architecture'>> & {
  readonly code?: string;
  readonly kind?: string;
  readonly nearest?: string;
  readonly says?: RegExp;
};
interface Case {
  readonly files: Readonly<Record<string, MockFile>>;
  readonly options?: Partial<PreflightOptions>;
  readonly fault?: MockFault;
  readonly wants: Outcome;
}

const yes = { ok: true, architecture: 'tiny', gguf: null };
const mib = 2 ** 20;

const cases: Readonly<Record<string, Case>> = {
  'one safetensors file': { files: one, wants: { ...yes, format: 'dense' } },
  'two ranks': { files: one, options: { ranks: 2 }, wants: yes },
  'five ranks': { files: one, options: { ranks: 5 }, wants: { ok: false, code: 'cannot_shard', kind: 'cannot_shard' } },
  'shards with an index': {
    files: { 'config.json': config, 'model.safetensors.index.json': index(shard), ...shards },
    wants: yes,
  },
  'shards without an index': { files: { 'config.json': config, ...shards }, wants: yes },
  'shards, one of them absent': {
    files: { 'config.json': config, 'model-00001-of-00002.safetensors': dense(half(0)) },
    wants: { ok: false, code: 'checkpoint_invalid', says: /00002-of-00002/ },
  },
  'an index that names an absent shard': {
    files: {
      'config.json': config,
      'model.safetensors.index.json': index(shard),
      'model-00001-of-00002.safetensors': dense(half(0)),
    },
    wants: { ok: false, code: 'repo_unsupported', says: /00002-of-00002/ },
  },
  'an index that leaves the folder': {
    files: { 'config.json': config, 'model.safetensors.index.json': index(() => '../x.safetensors') },
    wants: { ok: false, code: 'empty_repo' },
  },
  'a second copy beside the shards': {
    files: {
      'config.json': config,
      'model.safetensors.index.json': index(shard),
      ...shards,
      'consolidated.safetensors': dense(),
    },
    wants: yes,
  },
  'other weights in a folder': { files: { ...one, 'onnx/model.safetensors': readme }, wants: yes },
  'two models in one folder': {
    files: { 'config.json': config, 'a.safetensors': dense(), 'b.safetensors': dense() },
    wants: { ok: false, code: 'checkpoint_invalid' },
  },
  'no config': {
    files: { 'model.safetensors': dense() },
    wants: { ok: false, code: 'repo_unsupported', says: /config\.json/ },
  },
  'a config that is not JSON': {
    files: { ...one, 'config.json': new TextEncoder().encode('{') },
    wants: { ok: false, code: 'checkpoint_invalid' },
  },
  'a config without a model type': {
    files: { ...one, 'config.json': text({}) },
    wants: { ok: false, code: 'model_config_invalid', says: /model_type/ },
  },
  'a config without a field': {
    files: { ...one, 'config.json': text({ ...tinyConfig, hidden_size: undefined }) },
    wants: { ok: false, code: 'model_config_invalid', says: /hidden_size/ },
  },
  'a family that nobody serves': {
    files: { ...one, 'config.json': text({ ...tinyConfig, model_type: 'gpt9' }) },
    wants: { ok: false, code: 'architecture_unknown', kind: 'unsupported_architecture' },
  },
  'a family of a plugin': {
    files: { ...one, 'config.json': text({ ...tinyConfig, model_type: 'llama' }) },
    wants: { ok: false, code: 'architecture_unknown', kind: 'plugin_missing', says: /@helexa\/arch-llama/ },
  },
  'a format that is not run': {
    files: { ...one, 'model.safetensors': dense(undefined, (entry) => ({ ...entry, dtype: 'F8_E4M3' })) },
    wants: { ok: false, code: 'tensor_format' },
  },
  'a tensor of another shape': {
    files: { ...one, 'model.safetensors': dense(undefined, (entry) => ({ ...entry, shape: [...entry.shape, 1] })) },
    wants: { ok: false, code: 'tensor_shape' },
  },
  'a tensor too few': {
    files: { ...one, 'model.safetensors': dense((position) => position > 0) },
    wants: { ok: false, code: 'tensor_missing' },
  },
  'a tensor too many': {
    files: { ...one, 'model.safetensors': dense(undefined, undefined, ['extra']) },
    wants: { ok: false, code: 'tensor_unexpected' },
  },
  'a header longer than its file': {
    files: { ...one, 'model.safetensors': new Uint8Array([255, 255, 255, 0, 0, 0, 0, 0, 123]) },
    wants: { ok: false, code: 'checkpoint_invalid' },
  },
  'a weight file that is none': {
    files: { ...one, 'model.safetensors': readme },
    wants: { ok: false, code: 'checkpoint_invalid' },
  },
  'a diffusers pipeline': {
    files: { ...one, 'model_index.json': text({}) },
    wants: { ok: false, code: 'repo_unsupported', says: /diffusers/ },
  },
  'no weights': {
    files: { 'README.md': readme },
    wants: { ok: false, code: 'empty_repo', kind: 'empty_repo' },
  },
  'weights of another kind': {
    files: { 'config.json': config, 'pytorch_model.bin': readme },
    wants: { ok: false, code: 'empty_repo' },
  },
  'only a vision tower': {
    files: { 'mmproj-tiny-F16.gguf': readme },
    wants: { ok: false, code: 'empty_repo' },
  },
  'one GGUF file': { files: { 'tiny.gguf': gguf() }, wants: { ...yes, format: 'gguf', gguf: 'tiny.gguf' } },
  'a GGUF file in capitals': { files: { 'TINY-BF16.GGUF': gguf() }, wants: { ...yes, gguf: 'TINY-BF16.GGUF' } },
  'several GGUF files, none named': {
    files: quants,
    wants: { ...yes, gguf: 'tiny-Q4_K_M.gguf', says: /none was named/ },
  },
  'several GGUF files, one named in small letters': {
    files: quants,
    options: { quant: 'q8_0' },
    wants: { ...yes, gguf: 'tiny-Q8_0.gguf' },
  },
  'several GGUF files, one named in capitals': {
    files: quants,
    options: { quant: 'Q6_K' },
    wants: { ...yes, gguf: 'tiny-Q6_K.gguf' },
  },
  'a misspelt quantisation': {
    files: quants,
    options: { quant: 'q4km' },
    wants: { ok: false, code: 'quant_not_found', kind: 'quant_not_found', nearest: 'q4_k_m', says: /tiny-Q8_0/ },
  },
  'a GGUF file over two ranks': {
    files: { 'tiny.gguf': gguf() },
    options: { ranks: 2 },
    wants: { ...yes, gguf: 'tiny.gguf', says: /divided over 2 ranks/ },
  },
  'a split GGUF file': {
    files: {
      'tiny-BF16-00001-of-00002.gguf': gguf(half(0), [0, 2]),
      'tiny-BF16-00002-of-00002.gguf': gguf(half(1), [1, 2]),
    },
    wants: { ...yes, gguf: 'tiny-BF16-00001-of-00002.gguf', says: /first of 2 parts/ },
  },
  'a split GGUF file without its end': {
    files: { 'tiny-BF16-00001-of-00002.gguf': gguf(half(0), [0, 2]) },
    wants: { ok: false, code: 'checkpoint_invalid', says: /00002-of-00002/ },
  },
  'both kinds': { files: { ...one, ...quants }, wants: { ...yes, format: 'mixed' } },
  'both kinds, a GGUF file named': {
    files: { ...one, ...quants },
    options: { quant: 'Q8_0' },
    wants: { ...yes, format: 'mixed', gguf: 'tiny-Q8_0.gguf' },
  },
  'a device that is too small': {
    files: one,
    options: { deviceMemory: [100 * mib] },
    wants: { ok: false, code: 'model_does_not_fit', kind: 'insufficient_vram_for_load' },
  },
  'two devices, one too small': {
    files: one,
    options: { ranks: 2, deviceMemory: [1024 * mib, 100 * mib] },
    wants: { ok: false, code: 'model_does_not_fit' },
  },
  'two devices of different size': {
    files: one,
    options: { ranks: 2, deviceMemory: [1024 * mib, 512 * mib] },
    wants: yes,
  },
  'a gated model': {
    files: one,
    fault: { kind: 'status', status: 403, headers: { 'x-error-code': 'GatedRepo' } },
    wants: { ok: false, code: 'repo_forbidden', kind: 'repo_forbidden', says: /gated/ },
  },
  'a model that wants a token': {
    files: one,
    fault: { kind: 'status', status: 401 },
    wants: { ok: false, code: 'repo_unauthorised', says: /HF_TOKEN/ },
  },
};

const headBytes = (file: MockFile): number => (file instanceof Uint8Array ? file.length : file.head.length);

async function check(t: ExecutionContext, { files, options, fault }: Case): Promise<PreflightReport> {
  const registry = await startMockRegistry({ 'org/name': { files } });
  t.teardown(() => registry.close());
  const { sources, close } = await openTestSources(registry.url);
  t.teardown(close);
  registry.fault = () => fault ?? null;
  const report = await preflight({
    source: { id: 'org/name', sources },
    registry: createArchitectureRegistry([architecture]),
    backend: nullBackend(),
    ranks: 1,
    limits: { maxRows: 16, maxSequences: 2 },
    ...options,
  });
  for (const [name, sent] of registry.sent) {
    const isGguf = /\.gguf$/i.test(name);
    // The first 8 bytes of a safetensors file are read twice. A GGUF header does not say where it ends: one read goes beyond it.
    const most = headBytes(files[name]!) + (isGguf ? 256 * 1024 : 8);
    t.true(sent <= most, `${name}: ${sent} bytes were sent; ${most} are the header`);
  }
  t.is(registry.requests.filter(({ path }) => path.startsWith('/api/')).length, 1);
  return report;
}

for (const [name, each] of Object.entries(cases))
  test(`preflight knows ${name}, and reads no weight`, async (t) => {
    const report = await check(t, each);
    const { code, kind, nearest, says, ...rest } = each.wants;
    const [refusal] = report.refusals;
    t.like(report, rest);
    t.is(refusal?.code, code, refusal?.message);
    if (kind !== undefined) t.is(refusal?.details['kind'], kind);
    if (nearest !== undefined) t.is(refusal?.details['nearest'], nearest);
    if (says) t.regex([...report.notes, refusal?.message, refusal?.suggestion].join('\n'), says);
    t.is(report.ok, refusal === undefined);
  });

test('preflight adds up what a download would take', async (t) => {
  const files = { ...one, 'README.md': readme, 'tokenizer.json': text({}) };
  const { download } = await check(t, { files, wants: {} });
  t.like(download, { files: 3 });
  t.is(download!.totalBytes, config.length + one['model.safetensors'].bytes + text({}).length);
  t.is(download!.missingBytes, download!.totalBytes);
  t.true(download!.freeBytes > 0);
});

test('preflight says what would make a model fit, and that is then true', async (t) => {
  // Seven tenths of the weights find room: half of them do on each of two devices, and all of them in 8 bits.
  const large = { ...tinyConfig, intermediate_size: 131_072 };
  const parsed = architecture.parseConfig(large, 'config.json');
  let at = 0;
  const entries = listCheckpointTensors(architecture.weights(parsed), 'safetensors').map(({ name, shape }) => {
    const begin = at;
    at += 2 * shape.reduce((product, size) => product * size, 1);
    return [name, { dtype: 'BF16', shape, data_offsets: [begin, at] }];
  });
  const head = safetensorsFile(JSON.stringify(Object.fromEntries(entries)));
  const files = { 'config.json': text(large), 'model.safetensors': { head, bytes: head.length + at } };
  const deviceMemory = [128 * mib + Math.ceil(0.7 * at)];
  const refused = await check(t, { files, options: { deviceMemory }, wants: {} });
  t.regex(refused.refusals[0]?.suggestion ?? '', /--tp 2.*; or Use --quant q8_0/);
  t.true((await check(t, { files, options: { deviceMemory, quant: 'q8_0' }, wants: {} })).ok);
  const twice = await check(t, {
    files,
    options: { ranks: 2, deviceMemory: [...deviceMemory, ...deviceMemory] },
    wants: {},
  });
  t.true(twice.ok);
});

test('preflight names the smallest file of a repository when the one in use does not fit', async (t) => {
  const files = { 'tiny-Q8_0.gguf': gguf(), 'tiny-Q4_0.gguf': gguf(half(0)), 'tiny-Q2_K.gguf': gguf(half(1)) };
  const options = { quant: 'Q8_0', deviceMemory: [100 * mib] };
  const { refusals } = await check(t, { files, options, wants: {} });
  t.regex(refusals[0]?.suggestion ?? '', /Try 'tiny-Q(?:4_0|2_K)\.gguf'/);
});

test('preflight leaves what is no refusal to be thrown', async (t) => {
  const registry = createArchitectureRegistry([
    {
      ...architecture,
      forward: () => {
        throw new CortexError('internal_error', { reason: 'a test' });
      },
    },
  ]);
  await t.throwsAsync(check(t, { files: one, options: { registry }, wants: {} }), { code: 'internal_error' });
});

test('makeSafetensors and the promised header agree', (t) => {
  const { head } = dense((position) => position === 0);
  const [first] = tensors;
  const bytes = new Uint8Array(2 * first!.shape.reduce((product, size) => product * size, 1));
  const whole = makeSafetensors([{ name: first!.name, dtype: 'BF16', shape: first!.shape, bytes }]);
  t.deepEqual(new Uint8Array(whole.subarray(0, head.length)), new Uint8Array(head));
});
