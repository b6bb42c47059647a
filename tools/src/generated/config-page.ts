import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CortexError, gatewayConfigSchema, modelsConfigSchema, neuronConfigSchema } from '@helexa/core';
import { z } from 'zod';

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

interface Page {
  readonly file: string;
  /** How the file is found, and what goes before it. */
  readonly intro: readonly string[];
  readonly schema: z.ZodType;
  readonly sources: readonly string[];
}

const daemonIntro = (who: string, file: string, prefix: string): string[] => [
  `${who} reads \`./${file}\`, else \`~/.config/cortex/${file}\`, else \`/etc/cortex/${file}\`. The environment goes`,
  `before the file: \`${prefix}A__B\` sets key \`a.b\`.`,
];

const pages: readonly Page[] = [
  {
    file: 'cortex.toml',
    intro: daemonIntro('The gateway', 'cortex.toml', 'CORTEX_'),
    schema: gatewayConfigSchema,
    sources: ['gateway-config.ts'],
  },
  {
    file: 'neuron.toml',
    intro: daemonIntro('A neuron', 'neuron.toml', 'NEURON_'),
    schema: neuronConfigSchema,
    sources: ['neuron-config.ts', 'hub-schema.ts'],
  },
  {
    file: 'models.toml',
    intro: [
      'The model catalogue: `models_config` of cortex.toml names it. It is read again when it changes and on SIGHUP; a file that',
      'cannot be used changes nothing. The environment has no say in it. `[aliases]` holds `alias = "model id"` pairs.',
    ],
    schema: modelsConfigSchema,
    sources: ['models-config.ts'],
  },
];

/** The reference page of the configuration files: keys, types and defaults from the schemas, words from their comments. */
export function renderConfigPage(root: string): string {
  const folder = join(root, 'packages', 'core', 'src', 'config');
  const shared = comments(join(folder, 'shared-schema.ts'));
  const sections = pages.map(({ file, intro, schema, sources }) => {
    const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Schema;
    const words = new Map([...shared, ...sources.flatMap((source) => [...comments(join(folder, source))])]);
    const keys = [...leaves(json, [])];
    if (keys.length === 0) {
      throw new CortexError('internal_error', { reason: `the schema of '${file}' shows no keys` });
    }
    return [
      `## ${file}`,
      '',
      ...intro,
      '',
      '| key | type | default | meaning |',
      '|---|---|---|---|',
      ...keys.map(({ path, schema: leaf, isRequired }) => {
        const meaning = leaf.description ?? words.get(path.at(-1)!.replace('[]', '')) ?? '';
        const fallback = leaf.default === undefined ? (isRequired ? 'required' : '') : code(leaf.default);
        return `| \`${path.join('.')}\` | ${typeText(leaf)} | ${fallback} | ${cell(meaning)} |`;
      }),
      '',
    ].join('\n');
  });
  return [
    '# Configuration',
    '',
    'Unknown keys are errors, with the nearest known key named. `cortex config show` prints every value with its origin.',
    '',
    ...sections,
  ].join('\n');
}

interface Leaf {
  readonly path: readonly string[];
  readonly schema: Schema;
  readonly isRequired: boolean;
}

function* leaves(schema: Schema, path: readonly string[]): Generator<Leaf> {
  for (const [key, inner] of Object.entries(schema.properties ?? {})) {
    const isRequired = schema.required?.includes(key) ?? false;
    if (inner.properties !== undefined) yield* leaves(inner, [...path, key]);
    else if (inner.items?.properties !== undefined) yield* leaves(inner.items, [...path, `${key}[]`]);
    else yield { path: [...path, key], schema: inner, isRequired };
  }
}

function typeText(schema: Schema): string {
  if (schema.enum !== undefined) return schema.enum.map(code).join(' ');
  if (schema.const !== undefined) return code(schema.const);
  if (schema.type === 'array') return `list of ${typeText(schema.items ?? {})}`;
  const [low, high] = [schema.minimum, schema.maximum];
  const isBounded = high !== undefined && high < Number.MAX_SAFE_INTEGER;
  const range = low === undefined ? '' : isBounded ? ` ${low} to ${high}` : ` from ${low}`;
  return `${schema.type ?? 'value'}${range}`;
}

const code = (value: unknown): string => `\`${cell(JSON.stringify(value))}\``;
const cell = (text: string): string => text.replaceAll('|', '\\|').replace(/\s+/g, ' ');

/** One-line comments that stand right before a key of a schema. */
function comments(file: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, text, key] of readFileSync(file, 'utf8').matchAll(/\/\*\* (.+?) \*\/\n\s*(\w+)(?::|,\n)/g)) {
    found.set(key!, text!);
  }
  return found;
}
