import { llama } from '@helexa/arch-llama';
import { qwen3, qwen3Moe } from '@helexa/arch-qwen3';
import { qwen3Next, qwen35, qwen35Moe } from '@helexa/arch-qwen3-next';
import { type Architecture, compileFromConfig, planBytes, type StepLimits } from '@helexa/graph';
import { cpuBackend } from '@helexa/kernels-cpu';
import test from 'ava';

/** Of what is planned, how much an allocation may differ: rows and tensors are padded to cache lines. */
const bound = 0.01;

const limits: Omit<StepLimits, 'vocab'> = {
  maxRows: 128,
  maxSequences: 4,
  maxSampled: 4,
  maxContext: 1024,
  pages: 64,
  maxBias: 300,
  maxTopLogprobs: 20,
  exposeLogits: false,
  snapshots: 2,
};

/** A published configuration with fewer layers, experts and tokens: its widths, and so its padding, are the real ones. */
function shrink(config: unknown): unknown {
  if (typeof config !== 'object' || config === null || Array.isArray(config)) return config;
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => {
      if (key === 'num_hidden_layers') return [key, 4];
      if (key === 'vocab_size') return [key, 2048];
      if (key === 'num_experts') return [key, 8];
      if (key === 'layer_types') return [key, (value as unknown[]).slice(0, 4)];
      return [key, shrink(value)];
    }),
  );
}

for (const architecture of [llama, qwen3, qwen3Moe, qwen3Next, qwen35, qwen35Moe] as Architecture[])
  for (const format of ['BF16', 'Q8_0'] as const)
    test(`${architecture.name} in ${format} takes the memory that is planned, to one part in a hundred`, async (t) => {
      const size = architecture.sizes[0]!;
      const config = architecture.parseConfig(shrink(size.config), size.name);
      const { vocab } = architecture.facts(config);
      const backend = cpuBackend({ threads: 1 });
      t.teardown(() => backend.dispose());
      for (const ranks of architecture.capabilities.tensorParallel === true ? [1, 2] : [1]) {
        const all = { ...limits, vocab };
        const options = { architecture, config, ranks, backend, limits: all, kind: 'safetensors' as const };
        const { programs } = compileFromConfig({ ...options, format: () => format });
        const plan = planBytes(programs, all, 'F16');
        const model = await backend.load({ programs, devices: programs.map(() => 0), limits: all, kvFormat: 'F16' });
        for (const [rank, taken] of model.memory.entries()) {
          const planned = plan.ranks[rank]!;
          // Ranks of one machine share a step buffer: the plan counts it for each.
          const wanted = planned.totalBytes - (rank > 0 ? planned.stepBytes : 0);
          const got = Object.values(taken).reduce((sum, bytes) => sum + bytes, 0);
          const difference = Math.abs(got - wanted) / wanted;
          t.true(difference <= bound, `rank ${rank} of ${ranks}: ${got} bytes for ${wanted} planned`);
        }
        await model.dispose();
      }
    });
