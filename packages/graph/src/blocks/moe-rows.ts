import { fusedRow, matrixRow } from '../weight-rows.js';
import type { Cut, Segment, Source, WeightRow } from '../weights.js';

export interface MoeRowsOptions {
  /** Layers that are sparse. */
  readonly layers: readonly number[];
  readonly hidden: number;
  readonly experts: number;
  /** Inner width of one expert. */
  readonly inner: number;
  /** Inner width of the shared expert; absent: there is none. */
  readonly shared?: number;
  /** What the tensors of a layer's block begin with in safetensors, such as `model.layers.{layer}.mlp`, in order of preference. */
  readonly prefixes: readonly string[];
}

/**
 * Rows of a mixture of experts as `moeBlock` reads them. Experts are divided along their inner width, so every rank routes
 * alike and holds a share of each. In safetensors they are one tensor each, or all in one; in GGUF all in one.
 */
export function moeRows(options: MoeRowsOptions): readonly WeightRow[] {
  const { layers, hidden, experts, inner, shared, prefixes } = options;
  const hub = (...sources: readonly Source[]): readonly Source[] =>
    sources.flatMap((source) => prefixes.map((prefix) => ({ ...source, tensor: `${prefix}.${source.tensor}` })));
  const gguf = (name: string, shape?: readonly number[]): readonly Source[] => [
    { tensor: `blk.{layer}.ffn_${name}.weight`, ...(shape ? { shape } : {}) },
  ];
  const cutBy = (axis: 'rows' | 'cols', name: string, count: number) => {
    const cut: Cut = { name, unit: 'columns of an expert', count };
    return { layers, cut: { axis, cut } } as const;
  };
  const together = (part: number): Source => ({
    tensor: 'experts.gate_up_proj',
    shape: [experts, 2 * inner, hidden],
    row: (row) => row + (Math.floor(row / inner) + part) * inner,
  });
  const expertSegment = (name: string, part: number): Segment => ({
    name,
    rows: experts * inner,
    outer: experts,
    safetensors: hub({ tensor: `experts.{expert}.${name}_proj.weight`, stack: experts }, together(part)),
    gguf: gguf(`${name}_exps`, [experts, inner, hidden]),
  });
  const down = {
    safetensors: hub(
      { tensor: 'experts.{expert}.down_proj.weight', stack: experts },
      { tensor: 'experts.down_proj', shape: [experts, hidden, inner] },
    ),
    gguf: gguf('down_exps', [experts, hidden, inner]),
  };
  const router = { safetensors: hub({ tensor: 'gate.weight' }), gguf: gguf('gate_inp') };
  const rows = [
    matrixRow('router', [experts, hidden], router, { layers, exact: true }),
    fusedRow(
      'expertGateUp',
      hidden,
      [expertSegment('gate', 0), expertSegment('up', 1)],
      cutBy('rows', 'experts', inner),
    ),
    matrixRow('expertDown', [experts * hidden, inner], down, cutBy('cols', 'experts', inner)),
  ];
  if (shared === undefined) return rows;
  const sharedSegment = (name: string): Segment => ({
    name,
    rows: shared,
    safetensors: hub({ tensor: `shared_expert.${name}_proj.weight` }),
    gguf: gguf(`${name}_shexp`),
  });
  const sharedDown = {
    safetensors: hub({ tensor: 'shared_expert.down_proj.weight' }),
    gguf: gguf('down_shexp'),
  };
  const sharedGate = {
    safetensors: hub({ tensor: 'shared_expert_gate.weight' }),
    gguf: gguf('gate_inp_shexp', [hidden]),
  };
  return [
    ...rows,
    fusedRow(
      'sharedGateUp',
      hidden,
      [sharedSegment('gate'), sharedSegment('up')],
      cutBy('rows', 'sharedExpert', shared),
    ),
    matrixRow('sharedDown', [hidden, shared], sharedDown, cutBy('cols', 'sharedExpert', shared)),
    matrixRow('sharedGate', [1, hidden], sharedGate, { layers, exact: true }),
  ];
}
