/**
 * Header of one GGUF file: metadata, then tensor infos, then (aligned) the data. Everything in it is hostile until
 * checked: no count or length is believed before the file has the bytes for it.
 */
import type { ByteSource } from './byte-source.js';
import type { GgufMetadata, GgufValue, TensorEntry } from './checkpoint.js';
import { GgufCursor } from './gguf-cursor.js';
import { type LaterItems, LaterMetadata } from './gguf-metadata.js';
import { ggmlTypes, ggufValueBytes, ggufValueType } from './gguf-types.js';
import { elementCount, inFileOrder, quoted, refuse } from './header-checks.js';

export interface GgufHeader {
  readonly version: number;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

const magic = 0x46554747;
const defaultAlignment = 32;
const mostDimensions = 4;
const mostArrayItems = 1 << 24;
/** Arrays of a vocabulary: they become values when somebody asks for them. */
const manyItems = 1 << 10;
const leastMetadataBytes = 8 + 4 + 1;
const leastTensorInfoBytes = 8 + 4 + 4 + 8;

const exact = (value: bigint): number | bigint =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;

const readBool = (cursor: GgufCursor, what: string): boolean => {
  const byte = cursor.u8();
  if (byte > 1) return refuse(cursor.file, `${what} is a boolean of value ${byte}; 0 or 1 is wanted`);
  return byte === 1;
};

/** Reads one scalar whose bytes are present. */
const readScalar = (cursor: GgufCursor, type: number, what: string): GgufValue => {
  switch (type) {
    case ggufValueType.u8:
      return cursor.u8();
    case ggufValueType.i8:
      return cursor.i8();
    case ggufValueType.u16:
      return cursor.u16();
    case ggufValueType.i16:
      return cursor.i16();
    case ggufValueType.u32:
      return cursor.u32();
    case ggufValueType.i32:
      return cursor.i32();
    case ggufValueType.f32:
      return cursor.f32();
    case ggufValueType.f64:
      return cursor.f64();
    case ggufValueType.u64:
      return exact(cursor.u64());
    case ggufValueType.i64:
      return exact(cursor.i64());
    case ggufValueType.bool:
      return readBool(cursor, what);
    default:
      return refuse(cursor.file, `${what} has the unknown value type ${type}`);
  }
};

const readString = async (cursor: GgufCursor, what: string): Promise<string> => {
  if (!cursor.has(8)) await cursor.need(8, what);
  const count = cursor.length(what);
  if (!cursor.has(count)) await cursor.need(count, what);
  return cursor.text(count, what);
};

/** Items of an array whose bytes are present. */
const decodeItems = (cursor: GgufCursor, type: number, count: number, what: string): GgufValue[] => {
  const items: GgufValue[] = [];
  for (let index = 0; index < count; index++)
    items.push(type === ggufValueType.string ? cursor.text(cursor.length(what), what) : readScalar(cursor, type, what));
  return items;
};

const readArray = async (cursor: GgufCursor, what: string): Promise<readonly GgufValue[] | LaterItems> => {
  await cursor.need(12, what);
  const type = cursor.u32();
  const count = Number(cursor.u64());
  const width = ggufValueBytes.get(type);
  if (width === undefined) return refuse(cursor.file, `${what} is an array of the unknown value type ${type}`);
  if (type === ggufValueType.array)
    return refuse(cursor.file, `${what} is an array of arrays; an array of scalars is wanted`);
  if (count > mostArrayItems)
    return refuse(cursor.file, `${what} has ${count} items; at most ${mostArrayItems} are accepted`);
  if (count * width > cursor.remaining) {
    return refuse(cursor.file, `${what} says it has ${count} items; ${cursor.remaining} bytes are left in the file`);
  }
  const pieces = await cursor.pass(count, type === ggufValueType.string ? null : width, what);
  const decode = () => decodeItems(GgufCursor.over(Buffer.concat(pieces), cursor.file), type, count, what);
  return count < manyItems ? decode() : { count, decode };
};

const readValue = async (cursor: GgufCursor, what: string): Promise<GgufValue | LaterItems> => {
  await cursor.need(4, what);
  const type = cursor.u32();
  if (type === ggufValueType.string) return readString(cursor, what);
  if (type === ggufValueType.array) return readArray(cursor, what);
  await cursor.need(ggufValueBytes.get(type) ?? 0, what);
  return readScalar(cursor, type, what);
};

const isLater = (value: GgufValue | LaterItems): value is LaterItems =>
  typeof value === 'object' && !Array.isArray(value);

const readMetadata = async (cursor: GgufCursor, count: number): Promise<GgufMetadata> => {
  const metadata = new Map<string, GgufValue>();
  const later = new Map<string, LaterItems>();
  for (let index = 0; index < count; index++) {
    const key = await readString(cursor, `metadata key ${index}`);
    if (metadata.has(key)) refuse(cursor.file, `it has metadata key ${quoted(key)} twice`);
    const value = await readValue(cursor, `metadata ${quoted(key)}`);
    if (isLater(value)) later.set(key, value);
    metadata.set(key, isLater(value) ? [] : value);
  }
  return later.size > 0 ? new LaterMetadata(metadata, later) : metadata;
};

interface TensorInfo {
  readonly name: string;
  readonly format: string;
  readonly shape: readonly number[];
  readonly bytes: number;
  /** From the beginning of the data. */
  readonly offset: number;
}

const readTensorInfo = async (cursor: GgufCursor, index: number): Promise<TensorInfo> => {
  const { file } = cursor;
  const name = await readString(cursor, `name of tensor ${index}`);
  const at = `tensor ${quoted(name)}`;
  await cursor.need(4, at);
  const dimensions = cursor.u32();
  if (dimensions > mostDimensions)
    return refuse(file, `${at} has ${dimensions} dimensions; at most ${mostDimensions} are accepted`);
  await cursor.need(dimensions * 8 + 12, at);
  const shape: number[] = [];
  // The file has the fastest dimension first.
  for (let axis = 0; axis < dimensions; axis++) shape.unshift(Number(cursor.u64()));
  const typeId = cursor.u32();
  const offset = Number(cursor.u64());
  const type = ggmlTypes.get(typeId);
  if (type === undefined) return refuse(file, `${at} has the unknown type ${typeId}`);
  const elements = elementCount(shape);
  if (elements === undefined || elements > Number.MAX_SAFE_INTEGER / type.bytes) {
    return refuse(file, `${at} has more elements than any file can hold`);
  }
  const columns = shape.at(-1) ?? 1;
  if (columns % type.elements !== 0) {
    return refuse(file, `${at} has rows of ${columns} elements; ${type.name} wants whole blocks of ${type.elements}`);
  }
  return { name, format: type.name, shape, bytes: (elements / type.elements) * type.bytes, offset };
};

const alignmentOf = (metadata: GgufMetadata, file: string): number => {
  const value = metadata.get('general.alignment') ?? defaultAlignment;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1 || !Number.isInteger(Math.log2(value))) {
    return refuse(file, `'general.alignment' is ${quoted(String(value))}; a power of two is wanted`);
  }
  return value;
};

const readCount = (cursor: GgufCursor, what: string, leastBytes: number): number => {
  const count = Number(cursor.u64());
  if (count * leastBytes > cursor.remaining) {
    return refuse(cursor.file, `it says it has ${count} ${what}; ${cursor.remaining} bytes are left in the file`);
  }
  return count;
};

const readVersion = (cursor: GgufCursor): number => {
  const found = cursor.u32();
  if (found !== magic) return refuse(cursor.file, 'it does not begin with the GGUF magic');
  const version = cursor.u32();
  if (version > 0xffff && version % 0x10000 === 0)
    return refuse(cursor.file, 'it is big-endian; little-endian is wanted');
  if (version !== 2 && version !== 3) return refuse(cursor.file, `it has GGUF version ${version}; 2 or 3 is wanted`);
  return version;
};

/** Parses the header of a GGUF file; reads it in ranges and nothing behind it. */
export const parseGgufHeader = async (source: ByteSource): Promise<GgufHeader> => {
  const { file } = source;
  const cursor = new GgufCursor(source);
  await cursor.need(24, 'the header');
  const version = readVersion(cursor);
  const tensorCount = readCount(cursor, 'tensors', leastTensorInfoBytes);
  const metadataCount = readCount(cursor, 'metadata entries', leastMetadataBytes);
  const metadata = await readMetadata(cursor, metadataCount);
  const alignment = alignmentOf(metadata, file);
  const infos = new Map<string, TensorInfo>();
  for (let index = 0; index < tensorCount; index++) {
    const info = await readTensorInfo(cursor, index);
    if (infos.has(info.name)) refuse(file, `it has tensor ${quoted(info.name)} twice`);
    infos.set(info.name, info);
  }
  const dataBegin = Math.ceil(cursor.offset / alignment) * alignment;
  const tensors = new Map<string, TensorEntry>();
  for (const { name, format, shape, bytes, offset } of infos.values()) {
    const begin = dataBegin + offset;
    if (offset % alignment !== 0)
      refuse(file, `tensor ${quoted(name)} lies at offset ${offset}; a multiple of ${alignment} is wanted`);
    if (begin + bytes > source.size) {
      refuse(
        file,
        `tensor ${quoted(name)} lies at bytes ${begin} to ${begin + bytes}; the file has ${source.size} bytes`,
      );
    }
    tensors.set(name, { name, format, shape, file, begin, end: begin + bytes });
  }
  inFileOrder(tensors.values(), file);
  return { version, metadata, tensors };
};
