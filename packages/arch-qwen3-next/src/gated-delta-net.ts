import {
  type Builder,
  type Cut,
  fusedRow,
  matrixRow,
  type Segment,
  type Source,
  type Value,
  vectorRow,
  type WeightRow,
} from '@helexa/graph';
import type { HybridConfig } from './config.js';
import type { TensorNaming } from './weights.js';

type Sources = (name: string, differs?: Omit<Source, 'tensor'>) => readonly Source[];

export interface DeltaNetRowsOptions {
  readonly config: HybridConfig;
  readonly layers: readonly number[];
  readonly naming: TensorNaming;
  /** Sources of a layer's tensor, in safetensors and in GGUF. */
  readonly ofLayer: Sources;
  readonly ofBlock: Sources;
}

/**
 * Rows of a gated delta net. A key head with its value heads is what ranks divide; a fused `[Q | K | V]` is divided region by
 * region. Where a file re-ordered its value heads, they are r groups of key heads each, and every group is divided.
 */
export function deltaNetRows({ config, layers, naming, ofLayer, ofBlock }: DeltaNetRowsOptions): readonly WeightRow[] {
  const {
    hidden_size: hidden,
    linear_key_head_dim: dk,
    linear_value_head_dim: dv,
    linear_conv_kernel_dim: taps,
  } = config;
  const { linear_num_key_heads: nk, linear_num_value_heads: nv, tiledValueHeads: isTiled } = config;
  const r = nv / nk;
  const [keys, values] = [nk * dk, nv * dv];
  const channels = 2 * keys + values;
  const delta: Cut = { name: 'delta', unit: 'key heads', count: nk };
  const byRows = { layers, cut: { axis: 'rows', cut: delta } } as const;
  const byCols = { layers, cut: { axis: 'cols', cut: delta, ...(isTiled ? { outer: r } : {}) } } as const;
  const tiled = isTiled ? { outer: r } : {};

  const together = (grouped: readonly Source[], separate: readonly Source[]): readonly Source[] =>
    naming.grouped ? [...grouped, ...separate] : [...separate, ...grouped];
  // Per key head of in_proj_qkvz: q, k, then v and z of its value heads; of in_proj_ba: b, then a of its value heads.
  const inGroup = (start: number, size: number) => ({
    shape: [2 * keys + 2 * values, hidden],
    row: (row: number) => Math.floor(row / size) * (2 * dk + 2 * r * dv) + start + (row % size),
  });
  const inPair = (start: number) => ({
    shape: [2 * nv, hidden],
    row: (row: number) => Math.floor(row / r) * 2 * r + start + (row % r),
  });
  const from = (start: number, shape: readonly number[]) => ({ shape, row: (row: number) => start + row });

  const grouped = (start: number, size: number) => ({
    hub: ofLayer('linear_attn.in_proj_qkvz.weight', inGroup(start, size)),
    gguf: ofBlock('ssm_in.weight', inGroup(start, size)),
  });
  const region = (name: string, rows: number, at: number, group: ReturnType<typeof grouped>, more = {}): Segment => ({
    name,
    rows,
    safetensors: together(group.hub, ofLayer('linear_attn.in_proj_qkv.weight', from(at, [channels, hidden]))),
    gguf: [...ofBlock('attn_qkv.weight', from(at, [channels, hidden])), ...group.gguf],
    ...more,
  });
  const zGroup = grouped(2 * dk + r * dv, r * dv);
  const gate = (name: 'b' | 'a', start: number, ggufName: string): Segment => ({
    name,
    rows: nv,
    safetensors: together(
      ofLayer('linear_attn.in_proj_ba.weight', inPair(start)),
      ofLayer(`linear_attn.in_proj_${name}.weight`),
    ),
    gguf: together(ofBlock('ssm_ba.weight', inPair(start)), ofBlock(ggufName)),
    ...tiled,
  });
  const kernel = (name: string, rows: number, at: number, more = {}): Segment => ({
    name,
    rows,
    safetensors: ofLayer('linear_attn.conv1d.weight', from(at, [channels, 1, taps])),
    gguf: ofBlock('ssm_conv1d.weight', from(at, [channels, taps])),
    ...more,
  });
  const perHead = (name: string, safetensors: readonly Source[], gguf: readonly Source[]): WeightRow =>
    fusedRow(name, null, [{ name, rows: nv, safetensors, gguf, ...tiled }], byRows);

  return [
    fusedRow(
      'deltaQkv',
      hidden,
      [
        region('q', keys, 0, grouped(0, dk)),
        region('k', keys, keys, grouped(dk, dk)),
        region('v', values, 2 * keys, grouped(2 * dk, r * dv), tiled),
      ],
      byRows,
    ),
    fusedRow(
      'deltaZba',
      hidden,
      [
        {
          name: 'z',
          rows: values,
          safetensors: together(zGroup.hub, ofLayer('linear_attn.in_proj_z.weight')),
          gguf: [...ofBlock('attn_gate.weight'), ...zGroup.gguf],
          ...tiled,
        },
        gate('b', 0, 'ssm_beta.weight'),
        gate('a', r, 'ssm_alpha.weight'),
      ],
      byRows,
    ),
    fusedRow('conv', taps, [kernel('q', keys, 0), kernel('k', keys, keys), kernel('v', values, 2 * keys, tiled)], {
      ...byRows,
      exact: true,
    }),
    // A GGUF file holds -exp(A_log).
    perHead('decay', ofLayer('linear_attn.A_log', { map: (value) => -Math.exp(value) }), ofBlock('ssm_a')),
    perHead('dtBias', ofLayer('linear_attn.dt_bias'), [...ofBlock('ssm_dt.bias'), ...ofBlock('ssm_dt')]),
    // Around one, unlike every other norm of the family.
    vectorRow(
      'deltaNorm',
      dv,
      { safetensors: ofLayer('linear_attn.norm.weight'), gguf: ofBlock('ssm_norm.weight') },
      { layers },
    ),
    matrixRow(
      'deltaOut',
      [hidden, values],
      { safetensors: ofLayer('linear_attn.out_proj.weight'), gguf: ofBlock('ssm_out.weight') },
      byCols,
    ),
  ];
}

/** Gated delta net of the current layer: a short convolution, the delta rule over a state per head, a gated norm. */
export function gatedDeltaNetBlock(b: Builder, x: Value, config: HybridConfig): Value {
  const { linear_key_head_dim: keyDim, linear_value_head_dim: valueDim, tiledValueHeads: tiled } = config;
  const qkv = b.conv1dSilu(b.linear(x, b.weight('deltaQkv')), b.weight('conv')); // [rows, q + k + v]
  const zba = b.linear(x, b.weight('deltaZba')); // [rows, z + b + a]
  const { beta, g } = b.deltaGates(b.segment(zba, 1), b.segment(zba, 2), b.weight('decay'), b.weight('dtBias'));
  const mixed = b.gatedDelta(qkv, beta, g, { keyDim, valueDim, tiled });
  const normed = b.rmsNormGated(mixed, b.segment(zba, 0), b.weight('deltaNorm'), valueDim, config.rms_norm_eps);
  return b.linear(normed, b.weight('deltaOut'));
}
