/**
 * Header of one safetensors file: u64 length, JSON `{ name: { dtype, shape, data_offsets } }`, then the data it describes,
 * without holes. Everything in it is hostile until checked.
 */
import type { ByteSource } from './byte-source.js';
import type { TensorEntry } from './checkpoint.js';
import { elementCount, inFileOrder, longestHeaderBytes, quoted, refuse, utf8 } from './header-checks.js';
import { findJsonKeyProblem } from './json-keys.js';

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** Bits of one element, by the dtype's name in the file. Source: the safetensors format description. */
const bitsOf: ReadonlyMap<string, number> = new Map([
  ['F4', 4],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['BOOL', 8],
  ['U8', 8],
  ['I8', 8],
  ['F8_E5M2', 8],
  ['F8_E4M3', 8],
  ['F8_E8M0', 8],
  ['I16', 16],
  ['U16', 16],
  ['F16', 16],
  ['BF16', 16],
  ['I32', 32],
  ['U32', 32],
  ['F32', 32],
  ['C64', 64],
  ['F64', 64],
  ['I64', 64],
  ['U64', 64],
]);

const lengthBytes = 8;
const deepestNesting = 4;
const tensorKeys = new Set(['dtype', 'shape', 'data_offsets']);

/** Bytes of the JSON part, from the first 8 bytes of the file. */
const headerLength = (bytes: Uint8Array, fileSize: number, file: string): number => {
  if (fileSize < lengthBytes || bytes.byteLength < lengthBytes) {
    return refuse(file, `it has ${fileSize} bytes; a safetensors file has at least ${lengthBytes}`);
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset, lengthBytes).getBigUint64(0, true);
  if (length > BigInt(longestHeaderBytes)) {
    return refuse(file, `its header says it has ${length} bytes; at most ${longestHeaderBytes} are accepted`);
  }
  if (length > BigInt(fileSize - lengthBytes)) {
    return refuse(file, `its header says it has ${length} bytes; the file has ${fileSize}`);
  }
  return Number(length);
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const parseJson = (text: string, file: string): Record<string, unknown> => {
  const problem = findJsonKeyProblem(text, deepestNesting);
  if (problem?.kind === 'deep')
    refuse(file, `its header is nested ${problem.depth} deep; at most ${deepestNesting} is wanted`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    return refuse(file, 'its header is not JSON', error);
  }
  if (!isObject(parsed)) return refuse(file, 'its header is not a JSON object');
  if (problem?.kind === 'duplicate') refuse(file, `its header has key ${quoted(problem.key)} twice`);
  return parsed;
};

const parseMetadata = (value: unknown, file: string): Map<string, string> => {
  if (!isObject(value)) return refuse(file, "'__metadata__' is not an object");
  const metadata = new Map<string, string>();
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') return refuse(file, `metadata ${quoted(key)} is not a string`);
    metadata.set(key, text);
  }
  return metadata;
};

const isIntegerList = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);

const parseTensor = (name: string, value: unknown, dataBegin: number, dataSize: number, file: string): TensorEntry => {
  const at = `tensor ${quoted(name)}`;
  if (!isObject(value)) return refuse(file, `${at} is not an object`);
  const unknown = Object.keys(value).find((key) => !tensorKeys.has(key));
  if (unknown !== undefined) return refuse(file, `${at} has the unknown key ${quoted(unknown)}`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string') return refuse(file, `${at} has no dtype`);
  const bits = bitsOf.get(dtype);
  if (bits === undefined) return refuse(file, `${at} has the unknown dtype ${quoted(dtype)}`);
  if (!isIntegerList(shape)) return refuse(file, `${at} has a shape that is not a list of whole numbers`);
  if (!isIntegerList(offsets) || offsets.length !== 2)
    return refuse(file, `${at} has data_offsets that are not two whole numbers`);
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > dataSize) {
    return refuse(file, `${at} lies at bytes ${begin} to ${end}; the data has ${dataSize} bytes`);
  }
  const elements = elementCount(shape);
  if (elements === undefined || elements > Number.MAX_SAFE_INTEGER / bits) {
    return refuse(file, `${at} has more elements than any file can hold`);
  }
  if (elements * bits !== (end - begin) * 8) {
    return refuse(
      file,
      `${at} has ${end - begin} bytes; its shape [${shape.slice(0, 8).join(', ')}] in ${dtype} wants ${(elements * bits) / 8}`,
    );
  }
  return { name, format: dtype, shape, file, begin: dataBegin + begin, end: dataBegin + end };
};

/** Parses the beginning of a file, which must hold the whole header; `fileSize` bounds every offset in it. */
export const parseSafetensorsHeader = (bytes: Uint8Array, fileSize: number, file: string): SafetensorsHeader => {
  const length = headerLength(bytes, fileSize, file);
  const dataBegin = lengthBytes + length;
  if (bytes.byteLength < dataBegin)
    return refuse(file, `its header ends at byte ${dataBegin}; ${bytes.byteLength} were read`);
  const header = parseJson(utf8(bytes.subarray(lengthBytes, dataBegin), file, 'its header'), file);
  const tensors = new Map<string, TensorEntry>();
  let metadata = new Map<string, string>();
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') metadata = parseMetadata(value, file);
    else tensors.set(name, parseTensor(name, value, dataBegin, fileSize - dataBegin, file));
  }
  let covered = dataBegin;
  for (const entry of inFileOrder(tensors.values(), file)) {
    if (entry.begin > covered) return refuse(file, `bytes ${covered} to ${entry.begin} belong to no tensor`);
    covered = entry.end;
  }
  if (covered !== fileSize) return refuse(file, `bytes ${covered} to ${fileSize} belong to no tensor`);
  return { tensors, metadata };
};

/** Reads and parses the header of a file, and nothing behind it. */
export const readSafetensorsHeader = async (source: ByteSource): Promise<SafetensorsHeader> => {
  const first = await source.read(0, Math.min(lengthBytes, source.size));
  const length = headerLength(first, source.size, source.file);
  return parseSafetensorsHeader(await source.read(0, lengthBytes + length), source.size, source.file);
};
