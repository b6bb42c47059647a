/** Bytes of JSON that matter to find the keys of its outermost object. */
const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;

/** Index after a string that begins at `start`. */
const endOfString = (body: Buffer, start: number): number => {
  let index = start + 1;
  while (body[index] !== quote) index += body[index] === backslash ? 2 : 1;
  return index + 1;
};

const skipSpace = (body: Buffer, start: number): number => {
  let index = start;
  while (body[index] === 0x20 || body[index] === 0x09 || body[index] === 0x0a || body[index] === 0x0d) index += 1;
  return index;
};

/** The string at these bytes; escapes are resolved, so that no spelling of a key is missed. */
const stringAt = (body: Buffer, start: number, end: number): string => JSON.parse(body.toString('utf8', start, end));

/**
 * Puts another model into a request, byte for byte the same otherwise. The body is known to be JSON with an object
 * outermost; of a key that stands there twice both are replaced, whichever the neuron reads.
 */
export const spliceModel = (body: Buffer, model: string): Buffer => {
  const pieces: Buffer[] = [];
  const replacement = Buffer.from(JSON.stringify(model));
  let copied = 0;
  let depth = 0;
  for (let index = 0; index < body.length; index++) {
    const byte = body[index];
    if (byte === 0x7b || byte === 0x5b) depth += 1;
    else if (byte === 0x7d || byte === 0x5d) depth -= 1;
    else if (byte === quote) {
      const end = endOfString(body, index);
      const after = skipSpace(body, end);
      if (depth === 1 && body[after] === colon && stringAt(body, index, end) === 'model') {
        const value = skipSpace(body, after + 1);
        if (body[value] === quote) {
          const valueEnd = endOfString(body, value);
          pieces.push(body.subarray(copied, value), replacement);
          copied = valueEnd;
          index = valueEnd - 1;
          continue;
        }
      }
      index = end - 1;
    }
  }
  return Buffer.concat([...pieces, body.subarray(copied)]);
};
