import { type ByteSource, bytesSource } from './byte-source.js';
import { longestHeaderBytes, refuse } from './header-checks.js';

const defaultChunkBytes = 1 << 20;

/**
 * Reads little-endian values from a file in order, a chunk at a time.
 *
 * Callers make `count` bytes present with `need`, then take them without waiting: one wait per chunk, not per value.
 */
export class GgufCursor {
  readonly file: string;
  readonly #source: ByteSource;
  #window: Buffer = Buffer.alloc(0);
  /** File offset of the window's first byte. */
  #base = 0;
  #at = 0;
  /** Pieces of what is passed by, and where in the window the next one begins; null: nothing is kept. */
  #kept: Uint8Array[] | null = null;
  #keptFrom = 0;

  constructor(source: ByteSource) {
    this.#source = source;
    this.file = source.file;
  }

  /** A cursor whose bytes are all present. */
  static over(bytes: Uint8Array, file: string): GgufCursor {
    const cursor = new GgufCursor(bytesSource(bytes, file));
    cursor.#window = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return cursor;
  }

  /** File offset of the next byte. */
  get offset(): number {
    return this.#base + this.#at;
  }

  /** Bytes between here and the end of the file. */
  get remaining(): number {
    return this.#source.size - this.offset;
  }

  /** True when `count` bytes can be taken without waiting. */
  has(count: number): boolean {
    return this.#window.length - this.#at >= count;
  }

  /** Makes `count` bytes present, or refuses the file when it does not have them. */
  async need(count: number, what: string): Promise<void> {
    if (this.has(count)) return;
    if (count > this.remaining)
      refuse(this.file, `${what} wants ${count} bytes at byte ${this.offset}; ${this.remaining} are left`);
    const begin = this.offset;
    if (begin + count > longestHeaderBytes) {
      refuse(this.file, `its header is longer than ${longestHeaderBytes} bytes, which is the most that is accepted`);
    }
    const end = Math.min(this.#source.size, begin + Math.max(count, this.#source.chunkBytes ?? defaultChunkBytes));
    const bytes = await this.#source.read(begin, end);
    this.#kept?.push(this.#window.subarray(this.#keptFrom, this.#at));
    this.#keptFrom = 0;
    this.#window = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#base = begin;
    this.#at = 0;
  }

  /** Passes `count` values of `width` bytes, or texts behind their lengths when it is null, and gives their bytes in pieces. */
  async pass(count: number, width: number | null, what: string): Promise<readonly Uint8Array[]> {
    const kept: Uint8Array[] = [];
    this.#kept = kept;
    this.#keptFrom = this.#at;
    if (width !== null) {
      await this.need(count * width, what);
      this.#step(count * width);
    } else {
      for (let left = count - this.#passTexts(count); left > 0; left -= this.#passTexts(left)) {
        await this.need(8, what);
        const bytes = this.length(what);
        await this.need(bytes, what);
        this.#step(bytes);
        left -= 1;
      }
    }
    kept.push(this.#window.subarray(this.#keptFrom, this.#at));
    this.#kept = null;
    return kept;
  }

  /** Passes texts as long as they lie in the window whole; returns how many. */
  #passTexts(count: number): number {
    const window = this.#window;
    let at = this.#at;
    let passed = 0;
    for (; passed < count && at + 8 <= window.length; passed++) {
      const bytes = window[at]! + window[at + 1]! * 0x100 + window[at + 2]! * 0x10000 + window[at + 3]! * 0x1000000;
      const high = window[at + 4]! | window[at + 5]! | window[at + 6]! | window[at + 7]!;
      if (high !== 0 || at + 8 + bytes > window.length) break;
      at += 8 + bytes;
    }
    this.#at = at;
    return passed;
  }

  #step(count: number): number {
    const at = this.#at;
    this.#at += count;
    return at;
  }

  u8(): number {
    return this.#window.readUInt8(this.#step(1));
  }
  i8(): number {
    return this.#window.readInt8(this.#step(1));
  }
  u16(): number {
    return this.#window.readUInt16LE(this.#step(2));
  }
  i16(): number {
    return this.#window.readInt16LE(this.#step(2));
  }
  u32(): number {
    return this.#window.readUInt32LE(this.#step(4));
  }
  i32(): number {
    return this.#window.readInt32LE(this.#step(4));
  }
  f32(): number {
    return this.#window.readFloatLE(this.#step(4));
  }
  f64(): number {
    return this.#window.readDoubleLE(this.#step(8));
  }
  u64(): bigint {
    return this.#window.readBigUInt64LE(this.#step(8));
  }
  i64(): bigint {
    return this.#window.readBigInt64LE(this.#step(8));
  }

  /** Length field: refused when it is larger than what is left of the file. */
  length(what: string): number {
    const low = this.u32();
    const count = this.u32() * 2 ** 32 + low;
    if (count > this.remaining)
      refuse(this.file, `${what} says it has ${count} bytes; ${this.remaining} are left in the file`);
    return count;
  }

  /** `count` bytes as text; they must be UTF-8. */
  text(count: number, what: string): string {
    const begin = this.#step(count);
    const text = this.#window.toString('utf8', begin, begin + count);
    // A replacement character is either in the bytes themselves or the sign of bytes that are no UTF-8.
    if (text.includes('\ufffd') && !this.#window.subarray(begin, begin + count).equals(Buffer.from(text))) {
      refuse(this.file, `${what} is not UTF-8`);
    }
    return text;
  }
}
