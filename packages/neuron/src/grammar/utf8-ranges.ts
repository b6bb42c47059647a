/** A run of byte ranges: one for each byte of the encodings it covers. */
export type ByteRanges = readonly (readonly [low: number, high: number])[];

const lastOfLength = [0x7f, 0x7ff, 0xffff, 0x10ffff] as const;

/** The UTF-8 encodings of code points from `low` to `high`, without surrogates, as runs of byte ranges. */
export function utf8Ranges(low: number, high: number): ByteRanges[] {
  if (low > high) return [];
  if (low < 0xe000 && high > 0xd7ff) return [...utf8Ranges(low, 0xd7ff), ...utf8Ranges(0xe000, high)];
  for (const last of lastOfLength) {
    if (low <= last && high > last) return [...utf8Ranges(low, last), ...utf8Ranges(last + 1, high)];
  }
  const length = lastOfLength.findIndex((last) => high <= last) + 1;
  return splitRange(encode(low, length), encode(high, length), 0);
}

function splitRange(low: readonly number[], high: readonly number[], from: number): ByteRanges[] {
  const first = low[from]!;
  const last = high[from]!;
  if (from === low.length - 1) return [[[first, last]]];
  if (first === last) return splitRange(low, high, from + 1).map((rest) => [[first, first], ...rest]);
  const rest = low.length - from - 1;
  const runs: ByteRanges[] = [];
  const isLowWhole = low.slice(from + 1).every((byte) => byte === 0x80);
  const isHighWhole = high.slice(from + 1).every((byte) => byte === 0xbf);
  const anyRest = Array.from({ length: rest }, () => [0x80, 0xbf] as const);
  const wholeFrom = isLowWhole ? first : first + 1;
  const wholeTo = isHighWhole ? last : last - 1;
  if (!isLowWhole) {
    const top = [...low.slice(0, from + 1), ...anyRest.map(() => 0xbf)];
    runs.push(...splitRange(low, top, from));
  }
  if (wholeFrom <= wholeTo) runs.push([[wholeFrom, wholeTo], ...anyRest]);
  if (!isHighWhole) {
    const bottom = [...high.slice(0, from + 1), ...anyRest.map(() => 0x80)];
    runs.push(...splitRange(bottom, high, from));
  }
  return runs;
}

function encode(point: number, length: number): number[] {
  if (length === 1) return [point];
  const bytes: number[] = [];
  let rest = point;
  for (let i = 1; i < length; i++) {
    bytes.unshift(0x80 | (rest & 0x3f));
    rest >>= 6;
  }
  const lead = [0, 0, 0xc0, 0xe0, 0xf0][length]!;
  return [lead | rest, ...bytes];
}
