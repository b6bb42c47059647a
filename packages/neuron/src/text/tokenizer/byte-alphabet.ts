/**
 * The printable alphabet in which byte-level vocabularies spell bytes: printable Latin-1 bytes stand for themselves, the
 * others for U+0100 and up, in byte order.
 */
function makeAlphabet(): readonly string[] {
  const alphabet: string[] = [];
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
    alphabet.push(String.fromCharCode(printable ? byte : next++));
  }
  return alphabet;
}

/** Character that spells each byte. */
export const byteAlphabet: readonly string[] = makeAlphabet();

const byteOfCode: ReadonlyMap<number, number> = new Map(byteAlphabet.map((char, byte) => [char.charCodeAt(0), byte]));

/** Bytes that a byte-level token spells, or null when it holds a character outside the alphabet. */
export function spelledBytes(token: string): Uint8Array | null {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfCode.get(token.charCodeAt(i));
    if (byte === undefined) return null;
    bytes[i] = byte;
  }
  return bytes;
}

/** A text in the byte alphabet. */
export function spellBytes(bytes: Uint8Array): string {
  let spelled = '';
  for (const byte of bytes) spelled += byteAlphabet[byte];
  return spelled;
}
