import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { CortexError } from '@helexa/core';
import type { VisualRows } from '@helexa/neuron';
import { z } from 'zod';

const caseSchema = z.object({
  name: z.string(),
  ids: z.array(z.int().min(0)).min(1),
  shape: z.tuple([z.int().positive(), z.int().positive()]),
  logits: z.string(),
  greedy: z.array(z.int().min(0)),
});

const place = z.tuple([z.literal(1), z.int().positive(), z.int().positive()]);

const imageCaseSchema = caseSchema.extend({
  images: z.array(z.string()).min(1),
  idsBeforeExpansion: z.array(z.int().min(0)),
  grid_thw: z.array(place),
  positions: z.tuple([z.array(z.int()), z.array(z.int()), z.array(z.int())]),
  ropeDelta: z.int(),
  pixels: z.string(),
  features: z.string(),
});

const anyCase = z.union([imageCaseSchema, caseSchema]);

const tokenizerCaseSchema = z.object({ text: z.string(), ids: z.array(z.int().min(0)) });

const folderSchema = z.object({
  cases: z.array(anyCase),
  tokenizer: z.array(tokenizerCaseSchema).optional(),
});

const indexSchema = z.array(z.object({ file: z.string(), cases: z.array(anyCase) }));

/** One prompt with what an independent implementation computed for it. */
export interface ParityCase {
  readonly name: string;
  readonly ids: readonly number[];
  /** Positions times vocabulary, row-major. */
  readonly logits: Float32Array;
  readonly vocab: number;
  /** The next tokens by argmax. */
  readonly greedy: readonly number[];
  /** Positions and features of a prompt with images. */
  readonly visual?: VisualRows;
}

/** A prompt with images, and what was computed for it on the way to its logits. */
export interface ImageCase extends ParityCase {
  /** Files, in order. */
  readonly images: readonly string[];
  readonly idsBeforeExpansion: readonly number[];
  /** Patches of each image by rows and columns. */
  readonly grids: readonly { readonly height: number; readonly width: number }[];
  readonly positions: readonly (readonly number[])[];
  readonly positionDelta: number;
  readonly pixels: Float32Array;
  readonly features: Float32Array;
}

export interface ParityModel {
  /** Short name for the report. */
  readonly name: string;
  /** What `openCheckpoint` takes. */
  readonly path: string;
  readonly cases: readonly ParityCase[];
  readonly imageCases: readonly ImageCase[];
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

function readCases(cases: readonly z.infer<typeof anyCase>[], folder: string) {
  const texts: ParityCase[] = [];
  const imageCases: ImageCase[] = [];
  for (const entry of cases) {
    const { name, ids, shape, logits, greedy } = entry;
    const [positions, vocab] = shape;
    const values = readFloats(join(folder, logits));
    if (values.length !== positions * vocab || positions !== ids.length) {
      const reason = `${values.length} values are not the logits of ${ids.length} positions of ${vocab}`;
      throw new CortexError('checkpoint_invalid', { file: join(folder, logits), reason });
    }
    const text = { name, ids, logits: values, vocab, greedy };
    if (!('images' in entry)) texts.push(text);
    else
      imageCases.push({
        ...text,
        images: entry.images.map((file) => join(folder, file)),
        idsBeforeExpansion: entry.idsBeforeExpansion,
        grids: entry.grid_thw.map(([, height, width]) => ({ height, width })),
        positions: entry.positions,
        positionDelta: entry.ropeDelta,
        pixels: readFloats(join(folder, entry.pixels)),
        features: readFloats(join(folder, entry.features)),
      });
  }
  return { cases: texts, imageCases };
}

function readFloats(file: string): Float32Array {
  const bytes = readFileSync(file);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
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
