import { catalogue, type ErrorRow, gatewayConfigSchema, neuronConfigSchema } from '@helexa/core';
import { z } from 'zod';

/** Reference pages are made from what runs, never written by hand: `check-docs --write` writes them, `check-docs` compares. */
export interface ReferencePage {
  readonly file: string;
  readonly text: string;
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const row = (...cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
const literal = (text: string): string => (text === '' ? '' : `\`${text}\``);
const made = 'Made by `npm run build && node tools/dist/check-docs.js --write`; do not edit.';

/** Stands for any detail of an error, whatever a message does with it: prints as `<name>`. */
function placeholder(name: string): unknown {
  const text = `<${name}>`;
  const value: unknown = new Proxy(() => value, {
    get(_, key) {
      if (key === Symbol.toPrimitive || key === 'toString' || key === 'join') return () => text;
      if (key === 'map') return (work: (item: unknown) => unknown) => [work(value)];
      if (key === 'length') return 1;
      return value;
    },
  });
  return value;
}

const details = new Proxy({}, { get: (_, key) => placeholder(String(key)) });

/** Every error: code, statuses, wording. */
export function errorsPage(): ReferencePage {
  const rows = Object.entries(catalogue as unknown as Record<string, ErrorRow<unknown>>)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, error]) =>
      row(
        literal(code),
        String(error.status),
        String(error.exit),
        literal(error.message(details)),
        literal(error.suggestion?.(details) ?? ''),
      ),
    );
  const text = `# Errors

${made}

A code is never renamed. Over HTTP an error is \`{"error": {"message", "type", "code", "param"}}\` with the status; a command prints
one line and ends with the exit code.

| code | HTTP status | exit code | message | what to do |
|---|---|---|---|---|
${rows.join('\n')}
`;
  return { file: 'docs/reference/errors.md', text };
}

interface JsonSchema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
}

const typeOf = (schema: JsonSchema): string => {
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(', ');
  if (schema.type === 'array') return `list of ${schema.items ? typeOf(schema.items) : 'values'}`;
  const bounds =
    schema.minimum !== undefined && schema.maximum !== undefined && schema.maximum < Number.MAX_SAFE_INTEGER
      ? ` ${schema.minimum} to ${schema.maximum}`
      : '';
  return `${schema.type === 'object' ? 'table' : (schema.type ?? 'value')}${bounds}`;
};

function* keysOf(schema: JsonSchema, path: string): Generator<string> {
  for (const [key, inner] of Object.entries(schema.properties ?? {})) {
    const name = path === '' ? key : `${path}.${key}`;
    if (inner.type === 'object') yield* keysOf(inner, name);
    else {
      yield row(
        `\`${name}\``,
        typeOf(inner),
        inner.default === undefined ? '' : `\`${JSON.stringify(inner.default)}\``,
      );
      if (inner.type === 'array' && inner.items?.properties) yield* keysOf(inner.items, `${name}[]`);
    }
  }
}

/** Every key of both configuration files. */
export function configPage(): ReferencePage {
  const section = (title: string, prefix: string, schema: z.ZodType) => `## ${title}

A variable of the environment sets a key too: \`${prefix}A__B\` is \`a.b\`.

| key | value | default |
|---|---|---|
${[...keysOf(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema, '')].join('\n')}
`;
  const text = `# Configuration

${made}

A file is looked for in the current folder, in \`~/.config/cortex/\`, then in \`/etc/cortex/\`. Unknown keys are errors.
\`cortex config show\` prints what is in force and where each value comes from.

${section('cortex.toml', 'CORTEX_', gatewayConfigSchema)}
${section('neuron.toml', 'NEURON_', neuronConfigSchema)}`;
  return { file: 'docs/reference/config.md', text };
}

interface Manifest {
  readonly commands: Readonly<
    Record<
      string,
      {
        readonly summary?: string;
        readonly args: Readonly<Record<string, { readonly description?: string; readonly required?: boolean }>>;
        readonly flags: Readonly<
          Record<
            string,
            {
              readonly char?: string;
              readonly type: string;
              readonly summary?: string;
              readonly description?: string;
              readonly default?: unknown;
              readonly options?: readonly string[];
              readonly allowNo?: boolean;
            }
          >
        >;
      }
    >
  >;
}

/** Every command with its arguments and flags, from the manifest that oclif made of the code. */
export function commandsPage(manifest: Manifest): ReferencePage {
  const sections = Object.entries(manifest.commands)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, command]) => {
      const name = `cortex ${id.replaceAll(':', ' ')}`;
      const args = Object.entries(command.args).map(([arg, { description, required }]) =>
        row(`\`${arg.toUpperCase()}\``, `${description ?? ''}${required ? ' Required.' : ''}`, ''),
      );
      const flags = Object.entries(command.flags)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([flag, { char, type, summary, description, default: value, options, allowNo }]) => {
          const word = `${char ? `-${char}, ` : ''}--${allowNo ? '[no-]' : ''}${flag}${type === 'option' ? ` ${options ? options.join('\\|') : 'VALUE'}` : ''}`;
          return `| \`${word}\` | ${cell(summary ?? description ?? '')} | ${value === undefined ? '' : `\`${value}\``} |`;
        });
      return `## ${name}

${command.summary ?? ''}

| argument or flag | meaning | default |
|---|---|---|
${[...args, ...flags].join('\n')}
`;
    });
  const text = `# Commands

${made}

\`cortex plugins\` and \`cortex help\` come from oclif and describe themselves with \`--help\`.

${sections.join('\n')}`;
  return { file: 'docs/reference/cli.md', text };
}
