/**
 * The closed list of ops and how each one's instruction is laid out. The name is the same string in TypeScript, C++ and
 * CUDA; `npm run generate` writes the C header from this table. An op's meaning lives in `ops/<op>.ts`.
 */

export interface OpSignature {
  readonly code: number;
  /** Roles of the input operands, in instruction order; a trailing `?` marks an optional one. At most 4. */
  readonly inputs: readonly string[];
  /** Roles of the output operands. At most 3. */
  readonly outputs: readonly string[];
  /** Roles of the weight words; a role that ends in `...` takes the segments of one weight, up to 4. At most 5 words. */
  readonly weights: readonly string[];
  /** Immediate parameters, in instruction order; f32 is stored as its bit pattern. At most 8. */
  readonly params: readonly (readonly [name: string, type: 'i32' | 'f32'])[];
}

const i32 = (name: string) => [name, 'i32'] as const;
const f32 = (name: string) => [name, 'f32'] as const;

/** Rotary parameters shared by every op that rotates. sectionH = sectionW = 0: plain rotary, else interleaved M-RoPE. */
const rotary = [i32('headDim'), i32('rotaryDim'), f32('attentionFactor'), i32('sectionH'), i32('sectionW')] as const;

export const opcodes = {
  // Rows of the table by token id, and the step's feature row i for token -1 - i; a token outside [vocabStart, vocabStart + table rows) gives zeros (vocabulary-parallel).
  embed: { code: 1, inputs: [], outputs: ['y'], weights: ['table'], params: [i32('vocabStart')] },
  rms_norm: { code: 2, inputs: ['x'], outputs: ['y', 'quantised?'], weights: ['weight'], params: [f32('eps')] },
  // sum = residual + delta; y = rms_norm(sum)
  add_rms_norm: {
    code: 3,
    inputs: ['residual', 'delta'],
    outputs: ['sum', 'y', 'quantised?'],
    weights: ['weight'],
    params: [f32('eps')],
  },
  layer_norm: { code: 4, inputs: ['x'], outputs: ['y'], weights: ['weight', 'bias'], params: [f32('eps')] },
  // y = x . W^T + bias over 1 to 4 segments whose rows are concatenated
  linear: { code: 5, inputs: ['x', 'quantised?'], outputs: ['y'], weights: ['matrix...', 'bias?'], params: [] },
  linear_add: {
    code: 6,
    inputs: ['x', 'residual', 'quantised?'],
    outputs: ['y'],
    weights: ['matrix...', 'bias?'],
    params: [],
  },
  // y = silu(x . gate^T) * (x . up^T); the matrix has exactly the two segments gate, up
  linear_swiglu: {
    code: 7,
    inputs: ['x', 'quantised?'],
    outputs: ['y', 'quantised?'],
    weights: ['matrix...'],
    params: [],
  },
  add: { code: 8, inputs: ['a', 'b'], outputs: ['y'], weights: [], params: [] },
  mul: { code: 9, inputs: ['a', 'b'], outputs: ['y'], weights: [], params: [] },
  scale: { code: 10, inputs: ['x'], outputs: ['y'], weights: [], params: [f32('factor')] },
  silu: { code: 11, inputs: ['x'], outputs: ['y'], weights: [], params: [] },
  gelu: { code: 12, inputs: ['x'], outputs: ['y'], weights: [], params: [i32('tanh')] },
  sigmoid: { code: 13, inputs: ['x'], outputs: ['y'], weights: [], params: [] },
  swiglu: { code: 14, inputs: ['gate', 'up'], outputs: ['y'], weights: [], params: [] },
  // y = x * sigmoid(gate); broadcast 1: the gate has one column, which serves all of x
  sigmoid_mul: { code: 15, inputs: ['x', 'gate'], outputs: ['y'], weights: [], params: [i32('broadcast')] },
  head_norm: { code: 16, inputs: ['x'], outputs: ['y'], weights: ['weight'], params: [i32('headDim'), f32('eps')] },
  rope: { code: 17, inputs: ['x'], outputs: ['y'], weights: ['inverseFrequency'], params: rotary },
  // Writes this step's keys and values into the pages of each row's sequence.
  kv_append: { code: 18, inputs: ['k', 'v'], outputs: [], weights: [], params: [i32('layer'), i32('headDim')] },
  // Causal grouped-query attention of this step's rows over their sequence's pages. window 0: unlimited.
  attend: {
    code: 19,
    inputs: ['q'],
    outputs: ['y', 'quantised?'],
    weights: [],
    params: [i32('layer'), i32('headDim'), f32('scale'), i32('window')],
  },
  // head_norm (when its weight is there) and rope of q and k, then kv_append of k and v; y is the rotated q.
  qk_norm_rope_append: {
    code: 20,
    inputs: ['q', 'k', 'v'],
    outputs: ['y'],
    weights: ['qNorm?', 'kNorm?', 'inverseFrequency'],
    params: [i32('layer'), f32('eps'), ...rotary],
  },
  // y[i] = x[sampleRow[i]]
  gather_rows: { code: 21, inputs: ['x'], outputs: ['y'], weights: [], params: [] },
  // Chooses one token per sampled row by its slot's sampling parameters; rank 0 only.
  sample: { code: 22, inputs: ['logits'], outputs: [], weights: [], params: [] },
  // Sum over ranks, in rank order, on every rank.
  all_reduce: { code: 23, inputs: ['x'], outputs: ['y'], weights: [], params: [] },
  // Columns of every rank side by side; only rank 0's y is defined.
  gather: { code: 24, inputs: ['x'], outputs: ['y'], weights: [], params: [i32('columnStart')] },
  // x + bias, after a reduction
  add_bias: { code: 25, inputs: ['x'], outputs: ['y'], weights: ['bias'], params: [] },
  // Rows of x where the logits of sampled rows are exposed: the end of a model without its head; rank 0 only.
  expose_rows: { code: 26, inputs: ['x'], outputs: [], weights: [], params: [] },

  // Hybrid layers (spec: Gated DeltaNet).
  conv1d_silu: { code: 32, inputs: ['x'], outputs: ['y'], weights: ['kernel...'], params: [i32('layer')] },
  // beta = sigmoid(b); g = a_factor * softplus(a + dtBias), a_factor = -exp(A_log) folded at load
  delta_gates: { code: 33, inputs: ['b', 'a'], outputs: ['beta', 'g'], weights: ['decay', 'dtBias'], params: [] },
  gated_delta: {
    code: 34,
    inputs: ['qkv', 'beta', 'g'],
    outputs: ['y'],
    weights: [],
    params: [i32('layer'), i32('keyDim'), i32('valueDim'), i32('tiled')],
  },
  rms_norm_gated: {
    code: 35,
    inputs: ['x', 'z'],
    outputs: ['y', 'quantised?'],
    weights: ['weight'],
    params: [i32('headDim'), f32('eps')],
  },

  // Mixture of experts. choice: [rows, 2k], k expert indices (whole numbers as float32, best first), then their k weights.
  router_topk: {
    code: 40,
    inputs: ['logits'],
    outputs: ['choice'],
    weights: [],
    params: [i32('k'), i32('renormalise')],
  },
  // Grouped silu(x . gate_e^T) * (x . up_e^T) for each chosen expert: [rows, k * inter]
  moe_gate_up: {
    code: 41,
    inputs: ['x', 'choice'],
    outputs: ['y'],
    weights: ['matrix...'],
    params: [i32('k'), i32('experts')],
  },
  // sum over the chosen experts of weight * (y_e . down_e^T)
  moe_down: {
    code: 42,
    inputs: ['y', 'choice'],
    outputs: ['out'],
    weights: ['matrix...'],
    params: [i32('k'), i32('experts')],
  },

  // Vision tower.
  attend_dense: {
    code: 48,
    inputs: ['q', 'k', 'v'],
    outputs: ['y'],
    weights: [],
    params: [i32('headDim'), f32('scale')],
  },
  rope_2d: { code: 49, inputs: ['x'], outputs: ['y'], weights: ['inverseFrequency'], params: [i32('headDim')] },
  patch_merge: { code: 50, inputs: ['x'], outputs: ['y'], weights: [], params: [i32('merge')] },
  // The pixels of each patch, out of the step buffer.
  load_patches: { code: 51, inputs: [], outputs: ['y'], weights: [], params: [i32('width')] },
  // A learned table of side * side places, interpolated at each patch's place in its image.
  patch_position: { code: 52, inputs: [], outputs: ['y'], weights: ['table'], params: [i32('side')] },
  // Rows of x into the step buffer, where `embed` finds them; rank 0 only.
  store_features: { code: 53, inputs: ['x'], outputs: [], weights: [], params: [] },
} as const satisfies Record<string, OpSignature>;

export type OpName = keyof typeof opcodes;

/** Ops that only vision towers have. */
export const visionOps = [
  'load_patches',
  'patch_position',
  'rope_2d',
  'attend_dense',
  'patch_merge',
  'store_features',
] as const satisfies readonly OpName[];

/** Ops that the fuse pass makes out of others; a backend runs each only if it says so. */
export type FusedOp = 'add_rms_norm' | 'linear_add' | 'linear_swiglu' | 'qk_norm_rope_append';
