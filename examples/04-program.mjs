// What a model becomes: its kernel program, divided over two ranks, without reading a weight or needing a device.
import { qwen3 } from '@helexa/arch-qwen3';
import { openCheckpoint } from '@helexa/core';
import { compile, createArchitectureRegistry, nullBackend } from '@helexa/graph';

const checkpoint = await openCheckpoint(new URL('models/cortex-tiny', import.meta.url).pathname);
const { architecture, config } = createArchitectureRegistry([qwen3]).forCheckpoint(checkpoint);
const limits = {
  maxRows: 64,
  maxSequences: 1,
  maxSampled: 1,
  maxContext: 2048,
  pages: 32,
  vocab: architecture.facts(config).vocab,
  maxBias: 0,
  maxTopLogprobs: 0,
  exposeLogits: false,
};
const { programs } = compile({ architecture, config, checkpoint, ranks: 2, backend: nullBackend(), limits });
const lines = programs[0].text.split('\n');
console.log(lines.slice(0, 24).join('\n'));
console.log(`... ${lines.length} lines; rank 0 of ${programs.length}`);
