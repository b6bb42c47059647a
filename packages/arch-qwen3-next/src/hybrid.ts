import {
  attentionBlock,
  attentionFactorOf,
  type Builder,
  gatedMlpBlock,
  type ModelFacts,
  moeBlock,
} from '@helexa/graph';
import type { HybridConfig } from './config.js';
import { gatedDeltaNetBlock } from './gated-delta-net.js';

/** What a hybrid keeps per sequence: keys and values in attention layers, a window and a matrix per head in the others. */
export function hybridFacts(config: HybridConfig): ModelFacts {
  const { linear_key_head_dim: keyDim, linear_value_head_dim: valueDim, linear_conv_kernel_dim: taps } = config;
  const { linear_num_key_heads: keyHeads, linear_num_value_heads: valueHeads } = config;
  const attention = { kind: 'kv', kvHeads: config.num_key_value_heads, headDim: config.head_dim } as const;
  const delta = {
    kind: 'recurrent',
    convElements: (taps - 1) * (2 * keyHeads * keyDim + valueHeads * valueDim),
    deltaElements: valueHeads * keyDim * valueDim,
  } as const;
  return {
    vocab: config.vocab_size,
    hidden: config.hidden_size,
    layers: config.num_hidden_layers,
    maxContext: config.max_position_embeddings,
    state: config.layerTypes.map((type) => (type === 'full_attention' ? attention : delta)),
  };
}

export function hybridForward(b: Builder, config: HybridConfig): void {
  const { rms_norm_eps: eps, head_dim: headDim, rotaryDim, sections, experts } = config;
  const rotary = {
    headDim,
    rotaryDim,
    attentionFactor: attentionFactorOf(config.rope),
    ...(sections ? { sections } : {}),
  };
  let x = b.embed(b.weight('embed')); // [rows, hidden]
  for (const [layer, type] of config.layerTypes.entries())
    b.layer(layer, () => {
      const normed = b.rmsNorm(x, b.weight('mixerNorm'), eps);
      const mixed =
        type === 'full_attention'
          ? attentionBlock(b, normed, { rotary, eps, outputGate: true })
          : gatedDeltaNetBlock(b, normed, config);
      x = b.add(x, mixed);
      const between = b.rmsNorm(x, b.weight('mlpNorm'), eps);
      const fed =
        experts && b.has('router')
          ? moeBlock(b, between, { experts: experts.count, chosen: experts.chosen, renormalise: config.norm_topk_prob })
          : gatedMlpBlock(b, between);
      x = b.add(x, fed);
    });
  const last = b.rmsNorm(b.gatherRows(x), b.weight('finalNorm'), eps); // [sampled, hidden]
  b.sample(b.linear(last, b.weight('head')));
}
