import { join } from 'node:path';
import { type Checkpoint, CortexError } from '@helexa/core';
import { type Architecture, contractVersion } from './architecture.js';

/** The architectures a process was given, found by what a checkpoint says it is. */
export interface ArchitectureRegistry {
  readonly architectures: readonly Architecture[];
  /** The architecture of a checkpoint with its parsed config; throws `architecture_unknown` naming a plugin when one is known. */
  forCheckpoint(checkpoint: Checkpoint): { readonly architecture: Architecture; readonly config: unknown };
}

/** Published plugins by the `model_type` or GGUF architecture they serve. */
const knownPlugins: Readonly<Record<string, string>> = {
  llama: '@helexa/arch-llama',
  qwen3: '@helexa/arch-qwen3',
  qwen3_moe: '@helexa/arch-qwen3',
  qwen3moe: '@helexa/arch-qwen3',
  qwen3_next: '@helexa/arch-qwen3-next',
  qwen3next: '@helexa/arch-qwen3-next',
  qwen3_5: '@helexa/arch-qwen3-next',
  qwen3_5_moe: '@helexa/arch-qwen3-next',
  qwen35: '@helexa/arch-qwen3-next',
  qwen35moe: '@helexa/arch-qwen3-next',
};

/** Holds architectures; refuses one of another contract version and two that answer to the same name. */
export function createArchitectureRegistry(architectures: readonly Architecture[]): ArchitectureRegistry {
  const byModelType = indexBy(architectures, (architecture) => architecture.modelTypes);
  const byGguf = indexBy(architectures, (architecture) => architecture.ggufArchitectures);
  for (const architecture of architectures)
    if (architecture.contractVersion !== contractVersion)
      throw new CortexError('architecture_contract', {
        name: architecture.name,
        reason: `it speaks contract ${architecture.contractVersion}; this cortex speaks ${contractVersion}`,
      });
  const find = (index: ReadonlyMap<string, Architecture>, name: string): Architecture => {
    const found = index.get(name);
    if (found) return found;
    const plugin = Object.hasOwn(knownPlugins, name) ? knownPlugins[name] : undefined;
    throw new CortexError('architecture_unknown', {
      name,
      known: [...index.keys()],
      ...(plugin === undefined ? {} : { plugin }),
    });
  };
  return {
    architectures,
    forCheckpoint(checkpoint) {
      if (checkpoint.kind === 'gguf') {
        const name = checkpoint.metadata.get('general.architecture');
        if (typeof name !== 'string') throw unnamed(checkpoint.path, 'general.architecture');
        const architecture = find(byGguf, name);
        return {
          architecture,
          config: architecture.parseConfig(architecture.ggufConfig(checkpoint.metadata), checkpoint.path),
        };
      }
      const file = join(checkpoint.path, 'config.json');
      const name = (checkpoint.config as { model_type?: unknown } | null)?.model_type;
      if (typeof name !== 'string') throw unnamed(file, 'model_type');
      const architecture = find(byModelType, name);
      return { architecture, config: architecture.parseConfig(checkpoint.config, file) };
    },
  };
}

function indexBy(
  architectures: readonly Architecture[],
  namesOf: (architecture: Architecture) => readonly string[],
): ReadonlyMap<string, Architecture> {
  const index = new Map<string, Architecture>();
  for (const architecture of architectures)
    for (const name of namesOf(architecture)) {
      const other = index.get(name);
      if (other && other !== architecture)
        throw new CortexError('architecture_contract', {
          name: architecture.name,
          reason: `'${name}' is already served by '${other.name}'`,
        });
      index.set(name, architecture);
    }
  return index;
}

const unnamed = (file: string, field: string): CortexError =>
  new CortexError('model_config_invalid', { file, reason: `'${field}' is missing; it names the architecture` });
