import type { z } from 'zod';
import { CortexError } from '../errors/cortex-error.js';
import { nearestOf } from '../text/nearest.js';
import { type EnvironmentValue, environmentValues } from './environment.js';
import { type ConfigDocument, configPlaces, findConfig, readConfig } from './find-config.js';
import { keysAt } from './schema-keys.js';
import { lineFinder } from './toml-lines.js';

/** Where a value of the configuration came from. */
export type Origin =
  | { readonly kind: 'default' }
  | { readonly kind: 'file'; readonly file: string; readonly line: number | undefined }
  | { readonly kind: 'environment'; readonly name: string }
  | { readonly kind: 'flag' };

export interface LoadConfigOptions<Schema extends z.ZodType> {
  readonly schema: Schema;
  /** `cortex` or `neuron`: the file is `<name>.toml`. */
  readonly name: string;
  readonly envPrefix: string;
  /** Reads this file, and fails when it is absent, instead of the usual places. */
  readonly file?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Values of variables that other tools share with us; they yield to everything else. */
  readonly fallbacks?: readonly EnvironmentValue[] | undefined;
  /** Nested values that win over all others, such as flags of a command. */
  readonly overrides?: Readonly<Record<string, unknown>> | undefined;
  /** Folder of the first place; the current one when absent. */
  readonly folder?: string | undefined;
}

export interface LoadedConfig<Config> {
  readonly config: Config;
  /** Origin of every value, by its path joined with dots. */
  readonly origins: ReadonlyMap<string, Origin>;
  readonly file: string | undefined;
}

type Table = { [key: string]: unknown };

const isTable = (value: unknown): value is Table =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);

const dotted = (path: readonly PropertyKey[]): string => path.map(String).join('.');

/** Calls `visit` for every value that is no table, in arrays too. */
const visitLeaves = (
  value: unknown,
  visit: (path: readonly PropertyKey[], value: unknown) => void,
  path: readonly PropertyKey[] = [],
): void => {
  if (isTable(value)) for (const [key, inner] of Object.entries(value)) visitLeaves(inner, visit, [...path, key]);
  else if (Array.isArray(value) && value.some(isTable)) {
    value.forEach((inner, index) => {
      visitLeaves(inner, visit, [...path, index]);
    });
  } else if (value !== undefined) visit(path, value);
};

/** `under` with the values of `over` laid on top; arrays are replaced whole. */
const merged = (under: Table, over: Table): Table => {
  const result: Table = { ...under };
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const below = Object.hasOwn(result, key) ? result[key] : undefined;
    result[key] = isTable(value) && isTable(below) ? merged(below, value) : value;
  }
  return result;
};

const nest = (path: readonly string[], value: unknown): Table => {
  let result: unknown = value;
  for (const key of [...path].reverse()) result = { [key]: result };
  return result as Table;
};

/** Values in layers: a later one forgets the origins of what it replaces. */
class Layers {
  table: Table = {};
  readonly origins = new Map<string, Origin>();

  add(values: Table, originOf: (path: readonly PropertyKey[]) => Origin): void {
    this.table = merged(this.table, values);
    const added = new Map<string, Origin>();
    const replaced = new Set<string>();
    visitLeaves(values, (path) => {
      const item = path.findIndex((step) => typeof step === 'number');
      replaced.add(dotted(item === -1 ? path : path.slice(0, item)));
      added.set(dotted(path), originOf(path));
    });
    for (const old of this.origins.keys()) {
      for (const root of replaced) if (old === root || old.startsWith(`${root}.`)) this.origins.delete(old);
    }
    for (const [path, origin] of added) this.origins.set(path, origin);
  }

  /** Origin of a value, or of what stands nearest to it: the same table, then the tables around it. */
  originAt(path: readonly PropertyKey[]): Origin | undefined {
    for (let length = path.length; length > 0; length--) {
      const key = dotted(path.slice(0, length));
      const exact = this.origins.get(key);
      if (exact) return exact;
      for (const [other, origin] of this.origins) if (other.startsWith(`${key}.`)) return origin;
    }
    return undefined;
  }
}

const reasonOf = (issue: z.core.$ZodIssue): string => {
  const key = dotted(issue.path);
  return `'${key}' is not accepted: ${issue.message.replace(/^Invalid input: /, '')}`;
};

const place = (origin: Origin | undefined, name: string): { where: string; line?: number } => {
  if (origin?.kind === 'file')
    return { where: origin.file, ...(origin.line === undefined ? {} : { line: origin.line }) };
  if (origin?.kind === 'environment') return { where: origin.name };
  return { where: origin?.kind === 'flag' ? 'command line' : `${name}.toml` };
};

const configError = (error: z.ZodError, schema: z.ZodType, layers: Layers, name: string): CortexError => {
  // A misspelt key also leaves another one missing: name the cause first.
  const issue = error.issues.find(({ code }) => code === 'unrecognized_keys') ?? (error.issues[0] as z.core.$ZodIssue);
  if (issue.code !== 'unrecognized_keys') {
    return new CortexError('config_invalid', { ...place(layers.originAt(issue.path), name), reason: reasonOf(issue) });
  }
  const key = issue.keys[0] as string;
  const path = [...issue.path, key];
  const nearest = nearestOf(key, keysAt(schema, issue.path));
  return new CortexError('config_invalid', {
    ...place(layers.originAt(path), name),
    reason: `key '${dotted(path)}' is unknown`,
    ...(nearest ? { nearest: dotted([...issue.path, nearest]) } : {}),
  });
};

const addFile = (layers: Layers, found: ConfigDocument): void => {
  const lineOf = lineFinder(found.text);
  layers.add(found.document, (path) => ({ kind: 'file', file: found.file, line: lineOf(path) }));
};

/**
 * Loads a configuration: file, then environment, then overrides, each value with its origin. Unknown keys are errors.
 *
 * @example
 * const { config } = await loadConfig({ schema: gatewayConfigSchema, name: 'cortex', envPrefix: 'CORTEX_', env: process.env });
 */
export const loadConfig = async <Schema extends z.ZodType>(
  options: LoadConfigOptions<Schema>,
): Promise<LoadedConfig<z.output<Schema>>> => {
  const { schema, name } = options;
  const found = options.file
    ? await readConfig(options.file, name)
    : await findConfig(configPlaces(name, options.folder ?? '.', options.env['HOME']), name);
  const layers = new Layers();
  for (const { path, value, name: variable } of options.fallbacks ?? [])
    layers.add(nest(path, value), () => ({ kind: 'environment', name: variable }));
  if (found) addFile(layers, found);
  for (const { path, value, name: variable } of environmentValues(schema, options.envPrefix, options.env)) {
    layers.add(nest(path, value), () => ({ kind: 'environment', name: variable }));
  }
  if (options.overrides) layers.add(options.overrides as Table, () => ({ kind: 'flag' }));
  const parsed = schema.safeParse(layers.table);
  if (!parsed.success) throw configError(parsed.error, schema, layers, name);
  const origins = new Map<string, Origin>();
  visitLeaves(parsed.data, (path) => {
    origins.set(dotted(path), layers.origins.get(dotted(path)) ?? { kind: 'default' });
  });
  return { config: parsed.data, origins, file: found?.file };
};
