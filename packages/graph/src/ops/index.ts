import type { OpDefinition } from '../op.js';
import type { OpName } from '../opcodes.js';
import { add } from './add.js';
import { addBias } from './add-bias.js';
import { addRmsNorm } from './add-rms-norm.js';
import { allReduce } from './all-reduce.js';
import { attend } from './attend.js';
import { attendDense } from './attend-dense.js';
import { conv1dSilu } from './conv1d-silu.js';
import { deltaGates } from './delta-gates.js';
import { embed } from './embed.js';
import { exposeRows } from './expose-rows.js';
import { gatedDelta } from './gated-delta.js';
import { gather } from './gather.js';
import { gatherRows } from './gather-rows.js';
import { gelu } from './gelu.js';
import { headNorm } from './head-norm.js';
import { kvAppend } from './kv-append.js';
import { layerNorm } from './layer-norm.js';
import { linear } from './linear.js';
import { linearAdd } from './linear-add.js';
import { linearSwiglu } from './linear-swiglu.js';
import { loadPatches } from './load-patches.js';
import { moeDown } from './moe-down.js';
import { moeGateUp } from './moe-gate-up.js';
import { mul } from './mul.js';
import { patchMerge } from './patch-merge.js';
import { patchPosition } from './patch-position.js';
import { qkNormRopeAppend } from './qk-norm-rope-append.js';
import { rmsNorm } from './rms-norm.js';
import { rmsNormGated } from './rms-norm-gated.js';
import { rope } from './rope.js';
import { rope2d } from './rope-2d.js';
import { routerTopK } from './router-topk.js';
import { sample } from './sample.js';
import { scale } from './scale.js';
import { sigmoid } from './sigmoid.js';
import { sigmoidMul } from './sigmoid-mul.js';
import { silu } from './silu.js';
import { storeFeatures } from './store-features.js';
import { swiglu } from './swiglu.js';

/** Every op by name: what a pass or a backend asks instead of knowing ops itself. */
export const ops: Readonly<Record<OpName, OpDefinition>> = {
  embed: embed,
  rms_norm: rmsNorm,
  add_rms_norm: addRmsNorm,
  layer_norm: layerNorm,
  linear: linear,
  linear_add: linearAdd,
  linear_swiglu: linearSwiglu,
  add: add,
  mul: mul,
  scale: scale,
  silu: silu,
  gelu: gelu,
  sigmoid: sigmoid,
  swiglu: swiglu,
  sigmoid_mul: sigmoidMul,
  head_norm: headNorm,
  rope: rope,
  kv_append: kvAppend,
  attend: attend,
  qk_norm_rope_append: qkNormRopeAppend,
  gather_rows: gatherRows,
  sample: sample,
  all_reduce: allReduce,
  gather: gather,
  add_bias: addBias,
  expose_rows: exposeRows,
  conv1d_silu: conv1dSilu,
  delta_gates: deltaGates,
  gated_delta: gatedDelta,
  rms_norm_gated: rmsNormGated,
  router_topk: routerTopK,
  moe_gate_up: moeGateUp,
  moe_down: moeDown,
  attend_dense: attendDense,
  rope_2d: rope2d,
  patch_merge: patchMerge,
  load_patches: loadPatches,
  patch_position: patchPosition,
  store_features: storeFeatures,
};
