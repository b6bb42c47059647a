import { CortexError, type GgufMetadata } from '@helexa/core';

/** The part of a schema library's answer that is needed here: architectures bring their own schema. */
export interface ConfigSchema<Config> {
  safeParse(json: unknown):
    | { readonly success: true; readonly data: Config }
    | {
        readonly success: false;
        readonly error: {
          readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
        };
      };
}

/** Reads a model config by its schema; the first misfit becomes `model_config_invalid` with the field's name. */
export function parseModelConfig<Config>(schema: ConfigSchema<Config>, json: unknown, file: string): Config {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const reason = parsed.error.issues
    .map(({ path, message }) => (path.length > 0 ? `'${path.map(String).join('.')}': ${message}` : message))
    .join('; ');
  throw new CortexError('model_config_invalid', { file, reason });
}

/** Refuses a config by name unless `holds`. */
export function requireConfig(holds: boolean, file: string, reason: string): asserts holds {
  if (!holds) throw new CortexError('model_config_invalid', { file, reason });
}

/** GGUF metadata of one architecture: `number('attention.head_count')` reads `<prefix>.attention.head_count`. */
export interface GgufReader {
  /** Undefined when absent; a per-layer array counts as its value when all layers agree. */
  number(key: string): number | undefined;
  string(key: string): string | undefined;
  has(key: string): boolean;
}

/** Reads metadata under one architecture's prefix. Wrong types are left to the config schema that reads the result. */
export function ggufReader(metadata: GgufMetadata, prefix: string): GgufReader {
  const get = (key: string): unknown => metadata.get(`${prefix}.${key}`);
  return {
    has: (key) => metadata.has(`${prefix}.${key}`),
    string(key) {
      const value = get(key);
      return typeof value === 'string' ? value : undefined;
    },
    number(key) {
      const value = get(key);
      const one = Array.isArray(value) && value.every((item) => item === value[0]) ? value[0] : value;
      return typeof one === 'number' ? one : undefined;
    },
  };
}
