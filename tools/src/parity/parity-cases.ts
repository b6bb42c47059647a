import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { CortexError } from '@helexa/core';
import { z } from 'zod';

const caseSchema = z.object({
  name: z.string(),
  ids: z.array(z.int().min(0)).min(1),
  shape: z.tuple([z.int().positive(), z.int().positive()]),
  logits: z.string(),
  greedy: z.array(z.int().min(0)),
  images: z.unknown().optional(),
});

const tokenizerCaseSchema = z.object({ text: z.string(), ids: z.array(z.int().min(0)) });

const folderSchema = z.object({
  cases: z.array(caseSchema),
  tokenizer: z.array(tokenizerCaseSchema).optional(),
});

const indexSchema = z.array(z.object({ file: z.string(), cases: z.array(caseSchema) }));

/** One prompt with what an independent implementation computed for it. */
export interface ParityCase {
  readonly name: string;
  readonly ids: readonly number[];
  /** Positions times vocabulary, row-major. */
  readonly logits: Float32Array;
  readonly vocab: number;
  /** The next tokens by argmax. */
  readonly greedy: readonly number[];
}

export interface ParityModel {
  /** Short name for the report. */
  readonly name: string;
  /** What `openCheckpoint` takes. */
  readonly path: string;
  readonly cases: readonly ParityCase[];
  /** Names of cases that need images, which are not run. */
  readonly imageCases: readonly string[];
  readonly tokenizer: readonly { readonly text: string; readonly ids: readonly number[] }[];
}

/** Finds the models under a path: a checkpoint folder with `expected/`, a GGUF `index.json`, or a folder of either. */
export function findParityModels(path: string): ParityModel[] {
  if (existsSync(join(path, 'expected', 'cases.json'))) return [readFolder(path)];
  const index = path.endsWith('.json') ? path : join(path, 'index.json');
  if (existsSync(index)) return readIndex(index);
  if (!existsSync(path)) throw new CortexError('checkpoint_invalid', { file: path, reason: 'there is no such path' });
  const models = readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(path, entry.name, 'expected', 'cases.json')))
    .map((entry) => readFolder(join(path, entry.name)));
  if (models.length > 0) return models;
  const reason = "there is neither 'expected/cases.json' nor 'index.json' in it";
  throw new CortexError('checkpoint_invalid', { file: path, reason });
}

function readFolder(folder: string): ParityModel {
  const expected = join(folder, 'expected');
  const { cases, tokenizer = [] } = parse(folderSchema, join(expected, 'cases.json'));
  return { name: basename(folder), path: folder, ...readCases(cases, expected), tokenizer };
}

function readIndex(index: string): ParityModel[] {
  const folder = dirname(index);
  return parse(indexSchema, index).map(({ file, cases }) => ({
    name: file,
    path: join(folder, file),
    ...readCases(cases, folder),
    tokenizer: [],
  }));
}

function readCases(cases: readonly z.infer<typeof caseSchema>[], folder: string) {
  const texts = cases.filter((entry) => entry.images === undefined);
  return {
    cases: texts.map(({ name, ids, shape, logits, greedy }) => {
      const file = join(folder, logits);
      const bytes = readFileSync(file);
      const [positions, vocab] = shape;
      if (bytes.length !== positions * vocab * 4 || positions !== ids.length) {
        const reason = `${bytes.length} bytes are not the logits of ${ids.length} positions of ${vocab}`;
        throw new CortexError('checkpoint_invalid', { file, reason });
      }
      const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
      return { name, ids, logits: values, vocab, greedy };
    }),
    imageCases: cases.filter((entry) => entry.images !== undefined).map((entry) => entry.name),
  };
}

function parse<T>(schema: z.ZodType<T>, file: string): T {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new CortexError('checkpoint_invalid', { file, reason: 'it is not JSON' }, { cause });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new CortexError('checkpoint_invalid', { file, reason: z.prettifyError(parsed.error) });
}
