import { ggmlTypes, ggufValueType } from '../checkpoint/gguf-types.js';

/** A metadata value with the type it is written in. */
export type GgufField =
  | { readonly type: Exclude<keyof typeof ggufValueType, 'array'>; readonly value: number | bigint | boolean | string }
  | {
      readonly type: 'array';
      readonly of: Exclude<keyof typeof ggufValueType, 'array'>;
      readonly value: readonly (number | bigint | boolean | string)[];
    };

export interface GgufTensor {
  readonly name: string;
  /** Slowest first. */
  readonly shape: readonly number[];
  /** Name of the ggml type. */
  readonly type: string;
  readonly bytes: Uint8Array;
}

export interface GgufFile {
  readonly version?: number;
  readonly metadata?: Readonly<Record<string, GgufField>>;
  readonly tensors?: readonly GgufTensor[];
  /** What the data is aligned to; the `general.alignment` field is the caller's. */
  readonly alignment?: number;
}

const fixed = (width: number, write: (buffer: Buffer) => void): Buffer => {
  const buffer = Buffer.alloc(width);
  write(buffer);
  return buffer;
};

const u32 = (value: number): Buffer => fixed(4, (buffer) => buffer.writeUInt32LE(value));
const u64 = (value: number | bigint): Buffer => fixed(8, (buffer) => buffer.writeBigUInt64LE(BigInt(value)));
const text = (value: string): Buffer => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

const scalar = (type: keyof typeof ggufValueType, value: number | bigint | boolean | string): Buffer => {
  if (type === 'string') return text(String(value));
  if (type === 'u64') return u64(value as number);
  if (type === 'i64') return fixed(8, (buffer) => buffer.writeBigInt64LE(BigInt(value)));
  const number = Number(value);
  switch (type) {
    case 'f64':
      return fixed(8, (buffer) => buffer.writeDoubleLE(number));
    case 'f32':
      return fixed(4, (buffer) => buffer.writeFloatLE(number));
    case 'i32':
      return fixed(4, (buffer) => buffer.writeInt32LE(number));
    case 'u16':
      return fixed(2, (buffer) => buffer.writeUInt16LE(number));
    case 'i16':
      return fixed(2, (buffer) => buffer.writeInt16LE(number));
    case 'i8':
      return fixed(1, (buffer) => buffer.writeInt8(number));
    case 'u8':
    case 'bool':
      return fixed(1, (buffer) => buffer.writeUInt8(number));
    default:
      return u32(number);
  }
};

const field = (value: GgufField): Buffer =>
  value.type === 'array'
    ? Buffer.concat([
        u32(ggufValueType.array),
        u32(ggufValueType[value.of]),
        u64(value.value.length),
        ...value.value.map((item) => scalar(value.of, item)),
      ])
    : Buffer.concat([u32(ggufValueType[value.type]), scalar(value.type, value.value)]);

const typeNumber = (name: string): number => [...ggmlTypes].find(([, type]) => type.name === name)?.[0] ?? 0xffff;

const padding = (length: number, alignment: number): Buffer =>
  Buffer.alloc((alignment - (length % alignment)) % alignment);

/** A GGUF file of these parts; only its layout is made right. */
export const makeGguf = ({ version = 3, metadata = {}, tensors = [], alignment = 32 }: GgufFile): Uint8Array => {
  const head = [Buffer.from('GGUF'), u32(version), u64(tensors.length), u64(Object.keys(metadata).length)];
  for (const [key, value] of Object.entries(metadata)) head.push(text(key), field(value));
  const data: Buffer[] = [];
  let offset = 0;
  for (const { name, shape, type, bytes } of tensors) {
    head.push(text(name), u32(shape.length), ...[...shape].reverse().map(u64), u32(typeNumber(type)), u64(offset));
    const padded = Buffer.concat([bytes, padding(bytes.length, alignment)]);
    data.push(padded);
    offset += padded.length;
  }
  const header = Buffer.concat(head);
  return Buffer.concat([header, padding(header.length, alignment), ...data]);
};
