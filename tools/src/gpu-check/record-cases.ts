import { type Backend, layoutFields, layoutStep, type Program, referenceBackend } from '@helexa/graph';
import {
  type BackendCase,
  backendCases,
  type CasePrograms,
  fuseCase,
  lowerCase,
  runCase,
  type StepAnswer,
} from '@helexa/graph/conformance';
import { nativeSpec } from '@helexa/graph/native';
import { type Recording, RecordingBackend } from './recording-backend.js';

/** Begins a file of cases; `native/check/gpu_cases.cc` of the kernels reads them. */
const magic = 0x31435843;

/** 32-bit words written one after another; bytes are padded to whole words. */
class WordWriter {
  readonly #parts: Uint8Array[] = [];

  bytes(data: ArrayBufferView): void {
    const words = new Uint8Array(Math.ceil(data.byteLength / 4) * 4);
    words.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    this.#parts.push(words);
  }

  numbers(...values: readonly number[]): void {
    this.bytes(Int32Array.from(values));
  }

  /** A count of groups of `width` words, then the words. */
  list(words: Int32Array, width = 1): void {
    this.numbers(words.length / width);
    this.bytes(words);
  }

  text(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.numbers(bytes.length);
    this.bytes(bytes);
  }

  end(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}

/**
 * The conformance cases that a backend has the ops for, plain and fused as it fuses, each with its weights, its steps and
 * what the reference answers. Cases that it lacks an op for are named in `left`.
 */
export async function recordCases(
  backend: Pick<Backend, 'ops' | 'fusions' | 'quantisedRowBytes'>,
  filter: RegExp,
  oracle = referenceBackend(),
): Promise<{ readonly file: Uint8Array; readonly names: readonly string[]; readonly left: readonly string[] }> {
  const writer = new WordWriter();
  const names: string[] = [];
  const left: string[] = [];
  for (const spec of backendCases.filter(({ name }) => filter.test(name))) {
    if (spec.ops.some((op) => !backend.ops.has(op))) {
      left.push(spec.name);
      continue;
    }
    const plain = lowerCase(spec, { mutated: false });
    const fused = fuseCase(spec, plain, backend);
    const isFused = fused.programs[0]!.text !== plain.programs[0]!.text;
    for (const kvFormat of spec.kvFormats ?? (['F32'] as const)) {
      const wanted = await runCase(spec, oracle, plain, { kvFormat, mutated: false });
      for (const [how, variant] of [['plain', plain], ...(isFused ? [['fused', fused] as const] : [])] as const) {
        const name = `${spec.name}, ${how}, ${kvFormat}`;
        names.push(name);
        writeCase(writer, name, spec, await record(spec, variant, kvFormat), wanted);
      }
    }
  }
  const head = new WordWriter();
  head.numbers(magic, names.length);
  return { file: Buffer.concat([head.end(), writer.end()]), names, left };
}

async function record(spec: BackendCase, programs: CasePrograms, kvFormat: 'F32' | 'F16' | 'BF16'): Promise<Recording> {
  const backend = new RecordingBackend();
  await runCase(spec, backend, programs, { kvFormat, mutated: false });
  return backend.recorded!;
}

/** Fields of a step's layout that answers are read from. */
const answerFields = ['output', 'topToken', 'topLogprob', 'logits'] as const;

function writeCase(
  writer: WordWriter,
  name: string,
  { bound }: BackendCase,
  { spec, uploads, steps }: Recording,
  wanted: readonly StepAnswer[],
): void {
  const layout = layoutStep(spec.limits);
  const native = nativeSpec(spec, layout, { kernels: '', threads: 0 });
  writer.text(name);
  writer.bytes(Float32Array.of(bound));
  writer.numbers(native.kvFormat, native.stepWords);
  writer.list(native.limits);
  writer.list(new Int32Array(BigInt64Array.from(native.offsets, BigInt).buffer), 2);
  writer.numbers(...answerFields.map((field) => layoutFields.indexOf(field)));
  writer.numbers(native.programs.length);
  for (const [index, program] of native.programs.entries()) {
    writer.numbers(program.rank, program.vocab, (spec.programs[index] as Program).arenaElements);
    writer.list(program.words);
    writer.list(program.tensors, 4);
    writer.list(program.kv, 2);
    writer.list(program.state, 2);
  }
  writer.numbers(uploads.length);
  for (const { rank, tensor, rowStart, bytes } of uploads) {
    writer.numbers(rank, tensor, rowStart, bytes.length);
    writer.bytes(bytes);
  }
  writer.numbers(steps.length);
  let before = new Int32Array(layout.size);
  for (const [index, step] of steps.entries()) {
    writeChanges(writer, before, step);
    before = step as Int32Array<ArrayBuffer>;
    writeAnswer(writer, wanted[index]!, spec.limits.vocab, spec.limits.maxTopLogprobs);
  }
}

/** Spans of words that differ from those of the step before. */
function writeChanges(writer: WordWriter, before: Int32Array, after: Int32Array): void {
  const spans: { at: number; end: number }[] = [];
  for (let at = 0; at < after.length; at++) {
    if (after[at] === before[at]) continue;
    const last = spans.at(-1);
    // A few equal words between are cheaper than another span.
    if (last && at - last.end < 4) last.end = at + 1;
    else spans.push({ at, end: at + 1 });
  }
  writer.numbers(spans.length);
  for (const { at, end } of spans) {
    writer.numbers(at);
    writer.list(after.subarray(at, end));
  }
}

function writeAnswer(writer: WordWriter, answer: StepAnswer, vocab: number, tops: number): void {
  const chooses = answer.top.some((row) => row[0]!.token !== -1);
  writer.numbers(answer.logits.length, vocab, tops, chooses ? 1 : 0);
  for (const row of answer.logits) writer.bytes(row);
  writer.numbers(...answer.flags);
  writer.numbers(...answer.tokens);
  writer.bytes(Float32Array.from(answer.logprobs));
  writer.numbers(...answer.top.flatMap((row) => row.map(({ token }) => token)));
  writer.bytes(Float32Array.from(answer.top.flatMap((row) => row.map(({ logprob }) => logprob))));
}
