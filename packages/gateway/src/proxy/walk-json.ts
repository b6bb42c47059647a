import { isUtf8 } from 'node:buffer';
import { CortexError } from '@helexa/core';

/** Deeper than any request means to be; what walks over a body is not to run out of stack. */
export const deepestNesting = 128;

const [quote, backslash, colon, comma] = [0x22, 0x5c, 0x3a, 0x2c];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];
const byteOrderMark = Buffer.from('\ufeff');
const plainValue = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/;
/** Keys are short: looking at so many bytes here costs less than having the system search. */
const shortString = 24;

const notJson = (reason = 'it is not JSON'): CortexError => new CortexError('malformed_json', { reason });

/** Letters, digits and what stands in numbers. */
const isPlain = (byte: number | undefined): boolean =>
  byte !== undefined &&
  ((byte >= 0x30 && byte <= 0x39) ||
    (byte >= 0x61 && byte <= 0x7a) ||
    byte === 0x2d ||
    byte === 0x2b ||
    byte === 0x2e ||
    byte === 0x45);

/** Told of each key of the outermost object, and where its value lies in the bytes. */
export type OnField = (key: string, start: number, end: number) => void;

/**
 * Walks once over the JSON of a body and tells what stands in its outermost object: cheaper than `JSON.parse`, and nothing is
 * built. Structure, nesting and UTF-8 are checked; whether what a string holds is well escaped shows where it is read. Returns
 * whether the outermost value is an object.
 */
export const walkJson = (body: Buffer, onField: OnField): boolean => {
  if (body.length === 0) throw notJson('it is empty');
  if (!isUtf8(body)) throw notJson('it is not UTF-8');
  let at = body.subarray(0, byteOrderMark.length).equals(byteOrderMark) ? byteOrderMark.length : 0;
  /** Whether each container that is open is an object. */
  const open: boolean[] = [];
  let [key, keyValueAt] = ['', 0];

  const skipSpace = (): number | undefined => {
    for (;;) {
      const code = body[at];
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return code;
      at += 1;
    }
  };
  /** Passes a string; its last quote is the first one without an odd number of backslashes before it. */
  const passString = (): void => {
    let end = at + 1;
    for (; ; end++) {
      const nearby = Math.min(body.length, end + shortString);
      while (end < nearby && body[end] !== quote) end += 1;
      if (body[end] !== quote) end = body.indexOf(quote, end);
      if (end < 0) throw notJson();
      let before = end - 1;
      while (body[before] === backslash) before -= 1;
      if ((end - before) % 2 === 1) break;
    }
    at = end + 1;
  };
  /** Passes a number, or a word that means something. */
  const passPlain = (): void => {
    const start = at;
    while (isPlain(body[at])) at += 1;
    if (!plainValue.test(body.toString('latin1', start, at))) throw notJson();
  };
  const passKey = (): void => {
    if (skipSpace() !== quote) throw notJson();
    const start = at;
    passString();
    if (open.length === 1) key = readString(body, start, at);
    if (skipSpace() !== colon) throw notJson();
    at += 1;
    skipSpace();
    if (open.length === 1) keyValueAt = at;
  };
  /** Passes the beginning of a value; true when all of it has been passed. */
  const passValue = (): boolean => {
    const code = skipSpace();
    if (code === quote) {
      passString();
      return true;
    }
    if (code !== openBrace && code !== openBracket) {
      passPlain();
      return true;
    }
    if (open.length === deepestNesting) {
      throw new CortexError('invalid_request_body', { reason: `it is nested deeper than ${deepestNesting} levels` });
    }
    at += 1;
    const isObject = code === openBrace;
    if (skipSpace() === (isObject ? closeBrace : closeBracket)) {
      at += 1;
      return true;
    }
    open.push(isObject);
    if (isObject) passKey();
    return false;
  };

  skipSpace();
  const isObject = body[at] === openBrace;
  let isWhole = passValue();
  while (open.length > 0) {
    if (!isWhole) {
      isWhole = passValue();
      continue;
    }
    const end = at;
    const inObject = open[open.length - 1] as boolean;
    const code = skipSpace();
    if (inObject && open.length === 1) onField(key, keyValueAt, end);
    if (code === (inObject ? closeBrace : closeBracket)) open.pop();
    else if (code !== comma) throw notJson();
    at += 1;
    if (code !== comma) continue;
    if (inObject) passKey();
    isWhole = false;
  }
  skipSpace();
  if (at < body.length) throw notJson();
  return isObject;
};

/** The string at these bytes; escapes are resolved, so that no spelling of a key is missed. */
export const readString = (body: Buffer, start: number, end: number): string => {
  try {
    return JSON.parse(body.toString('utf8', start, end)) as string;
  } catch (error) {
    throw new CortexError('malformed_json', { reason: 'it is not JSON' }, { cause: error });
  }
};
