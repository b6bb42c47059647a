import type { WeightFormat } from '@helexa/core';
import { FileWriter, type PlannedTensor } from './file-writer.js';
import type { RandomWords } from './random-words.js';

/** A metadata value with the type that GGUF stores it in. */
export type GgufEntry =
  | { readonly type: 'u32' | 'i32' | 'f32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'i32s'; readonly value: readonly number[] };

const typeCodes = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

const tensorTypes: Readonly<Record<WeightFormat, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q8_0: 8,
  Q4_K: 12,
  Q5_K: 13,
  Q6_K: 14,
  BF16: 30,
};

const alignment = 32;

/** Writes random tensors as one GGUF file, version 3. */
export function writeGguf(
  path: string,
  metadata: ReadonlyMap<string, GgufEntry>,
  tensors: readonly PlannedTensor[],
  random: RandomWords,
): void {
  const head = new ByteBuilder();
  head.u32(0x46554747);
  head.u32(3);
  head.u64(tensors.length);
  head.u64(metadata.size);
  for (const [key, entry] of metadata) {
    head.string(key);
    writeEntry(head, entry);
  }
  let offset = 0;
  for (const { tensor, format, bytes } of tensors) {
    head.string(tensor.name);
    head.u32(tensor.shape.length);
    for (const size of [...tensor.shape].reverse()) head.u64(size);
    head.u32(tensorTypes[format]);
    head.u64(offset);
    offset = Math.ceil((offset + bytes) / alignment) * alignment;
  }
  const writer = new FileWriter(path);
  try {
    writer.write(head.bytes());
    for (const tensor of tensors) {
      writer.padTo(alignment);
      writer.writeRandom(tensor, random);
    }
    writer.padTo(alignment);
  } finally {
    writer.close();
  }
}

function writeEntry(head: ByteBuilder, entry: GgufEntry): void {
  switch (entry.type) {
    case 'u32':
    case 'i32':
      head.u32(typeCodes[entry.type]);
      head.u32(entry.value >>> 0);
      return;
    case 'f32':
      head.u32(typeCodes.f32);
      head.f32(entry.value);
      return;
    case 'bool':
      head.u32(typeCodes.bool);
      head.u8(entry.value ? 1 : 0);
      return;
    case 'string':
      head.u32(typeCodes.string);
      head.string(entry.value);
      return;
    case 'strings':
      head.u32(typeCodes.array);
      head.u32(typeCodes.string);
      head.u64(entry.value.length);
      for (const item of entry.value) head.string(item);
      return;
    case 'i32s':
      head.u32(typeCodes.array);
      head.u32(typeCodes.i32);
      head.u64(entry.value.length);
      for (const item of entry.value) head.u32(item >>> 0);
  }
}

/** Little-endian bytes that grow. */
class ByteBuilder {
  #bytes = new Uint8Array(1 << 20);
  #length = 0;
  readonly #utf8 = new TextEncoder();

  u8(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  u32(value: number): void {
    this.#room(4);
    new DataView(this.#bytes.buffer).setUint32(this.#length, value, true);
    this.#length += 4;
  }

  u64(value: number): void {
    this.#room(8);
    new DataView(this.#bytes.buffer).setBigUint64(this.#length, BigInt(value), true);
    this.#length += 8;
  }

  f32(value: number): void {
    this.#room(4);
    new DataView(this.#bytes.buffer).setFloat32(this.#length, value, true);
    this.#length += 4;
  }

  string(text: string): void {
    const bytes = this.#utf8.encode(text);
    this.u64(bytes.length);
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}
