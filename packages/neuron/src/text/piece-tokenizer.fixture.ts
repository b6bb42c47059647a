import type { Tokenizer } from './tokenizer/tokenizer.js';

const encoder = new TextEncoder();

/** A tokenizer with one token for each byte, one for each mark, and whatever pieces of text a test cuts. */
export interface PieceTokenizer extends Tokenizer {
  /** The id of a piece, made when it is first asked for. */
  idOfPiece(bytes: Uint8Array): number;
}

/** Ids 0 to 255 are bytes; the marks follow as added tokens, then the pieces. */
export function pieceTokenizer(marks: readonly string[]): PieceTokenizer {
  const pieces: Uint8Array[] = Array.from({ length: 256 }, (_, byte) => new Uint8Array([byte]));
  const known = new Map<string, number>(pieces.map((_, byte) => [String.fromCharCode(byte), byte]));
  const addedByText = new Map(marks.map((mark, index) => [mark, 256 + index]));
  pieces.push(...marks.map((mark) => encoder.encode(mark)));
  const bytesOf = (id: number) => pieces[id] ?? new Uint8Array(0);
  return {
    get vocabSize() {
      return pieces.length;
    },
    specialIds: new Set(),
    addedIds: new Set(addedByText.values()),
    bosId: null,
    eosId: null,
    leadingSpaces: 0,
    encode: (text) => [...encoder.encode(text)],
    decode: (ids) => new TextDecoder().decode(Buffer.concat(ids.map(bytesOf))),
    bytesOf,
    idOf: (token) => addedByText.get(token),
    tokenOf: (id) => new TextDecoder().decode(bytesOf(id)),
    idOfPiece(bytes) {
      const key = String.fromCharCode(...bytes);
      const id = known.get(key) ?? pieces.push(bytes) - 1;
      known.set(key, id);
      return id;
    },
  };
}
