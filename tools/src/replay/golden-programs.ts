import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CortexError, openCheckpoint, type WeightFormat } from '@helexa/core';
import {
  type Architecture,
  type Backend,
  type CompileOptions,
  compile,
  compileFromConfig,
  createArchitectureRegistry,
  nullBackend,
} from '@helexa/graph';

export interface GoldenProgram {
  /** File name under `tools/golden/`. */
  readonly name: string;
  readonly text: string;
}

const limits = {
  maxRows: 64,
  maxSequences: 4,
  maxSampled: 4,
  maxContext: 256,
  pages: 16,
  maxBias: 0,
  maxTopLogprobs: 0,
  exposeLogits: false,
};

interface Target {
  readonly name: string;
  readonly backend: Backend;
  readonly ranks: readonly number[];
  /** Format of every matrix in place of the checkpoint's own. */
  readonly format?: WeightFormat;
}

/** What a backend may have: the passes give each its own program. */
const targets: readonly Target[] = [
  { name: 'plain', backend: nullBackend({ fusions: [] }), ranks: [1] },
  { name: 'fused', backend: nullBackend(), ranks: [1, 2, 4] },
  { name: 'quantised', backend: nullBackend({ quantises: true }), ranks: [1], format: 'Q8_0' },
];

/** What may be said in place of a program: too many ranks, or rows too short for blocks. */
const refusals: ReadonlySet<string> = new Set(['cannot_shard', 'tensor_format']);

/** Programs of every tiny checkpoint of the architecture packages; a refusal is told in place of a program. */
export async function goldenPrograms(root: string, architectures: readonly Architecture[]): Promise<GoldenProgram[]> {
  const registry = createArchitectureRegistry(architectures);
  const programs: GoldenProgram[] = [];
  for (const { name, folder } of fixtures(root)) {
    const checkpoint = await openCheckpoint(folder);
    const { architecture, config } = registry.forCheckpoint(checkpoint);
    const { vocab } = architecture.facts(config);
    for (const { name: target, backend, ranks, format } of targets) {
      for (const count of ranks) {
        const options = { architecture, config, checkpoint, ranks: count, backend, limits: { ...limits, vocab } };
        programs.push({ name: `${name}.${target}.tp${count}.txt`, text: programsText(options, format) });
      }
    }
  }
  return programs;
}

function programsText(options: CompileOptions, format: WeightFormat | undefined): string {
  try {
    const compiled = format === undefined ? compile(options) : compileFromConfig({ ...options, format: () => format });
    return compiled.programs.map((program) => program.text).join('\n');
  } catch (error) {
    if (CortexError.isInstance(error) && refusals.has(error.code)) return `${error.message}\n`;
    throw error;
  }
}

function fixtures(root: string): { name: string; folder: string }[] {
  const packages = join(root, 'packages');
  return readdirSync(packages)
    .filter((name) => name.startsWith('arch-') && existsSync(join(packages, name, 'fixtures')))
    .flatMap((name) =>
      readdirSync(join(packages, name, 'fixtures')).map((fixture) => ({
        name: `${name}.${fixture}`,
        folder: join(packages, name, 'fixtures', fixture),
      })),
    )
    .filter(({ folder }) => existsSync(join(folder, 'config.json')));
}
