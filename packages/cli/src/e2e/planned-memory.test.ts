import { readFileSync } from 'node:fs';
import { llama } from '@helexa/arch-llama';
import { qwen3, qwen3Moe } from '@helexa/arch-qwen3';
import { qwen3Next, qwen35, qwen35Moe } from '@helexa/arch-qwen3-next';
import { type Architecture, compileFromConfig, measuredPlan, planBytes, type StepLimits } from '@helexa/graph';
import { cpuBackend } from '@helexa/kernels-cpu';
import test from 'ava';

/** Of what is planned, how much an allocation may differ. */
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
      if (key === 'num_experts') return [key, 16];
      if (key === 'layer_types') return [key, (value as unknown[]).slice(0, 4)];
      return [key, shrink(value)];
    }),
  );
}

/** What the system has given this process. */
const addressSpaceBytes = (): number => Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[0]) * 4096;

for (const architecture of [llama, qwen3, qwen3Moe, qwen3Next, qwen35, qwen35Moe] as Architecture[])
  for (const format of ['BF16', 'Q8_0'] as const)
    test.serial(
      `planModel: ${architecture.name} in ${format} takes the memory that is planned, to one part in a hundred`,
      async (t) => {
        const size = architecture.sizes[0]!;
        const config = architecture.parseConfig(shrink(size.config), size.name);
        const { vocab } = architecture.facts(config);
        const backend = cpuBackend({ threads: 1 });
        t.teardown(() => backend.dispose());
        for (const ranks of architecture.capabilities.tensorParallel === true ? [1, 2] : [1]) {
          const all = { ...limits, vocab };
          const options = { architecture, config, ranks, backend, limits: all, kind: 'safetensors' as const };
          const { programs } = compileFromConfig({ ...options, format: () => format });
          const spec = { programs, devices: programs.map(() => 0), limits: all, kvFormat: 'F16' as const };
          const { ranks: planned } = measuredPlan(planBytes(programs, all, 'F16'), backend.measureMemory!(spec));
          const before = addressSpaceBytes();
          const model = await backend.load(spec);
          const taken = model.memory.map((rank) => Object.values(rank).reduce((sum, bytes) => sum + bytes, 0));
          for (const [rank, bytes] of taken.entries()) {
            const wanted = planned[rank]!.totalBytes;
            t.true(
              Math.abs(bytes - wanted) <= bound * wanted,
              `rank ${rank} of ${ranks}: ${bytes} for ${wanted} planned`,
            );
          }
          // What the backend reports is what the system gave it: nothing of that size comes from anywhere else.
          const total = planned.reduce((sum, rank) => sum + rank.totalBytes, 0);
          const grown = addressSpaceBytes() - before;
          t.true(grown >= total * (1 - bound), `the process grew by ${grown} for ${total} planned`);
          await model.dispose();
        }
      },
    );
