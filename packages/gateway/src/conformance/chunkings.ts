/** Every cut of a stream in two, its bytes one by one, and all in one: as the reads in which it comes. */
export const everyChunking = function* (bytes: Buffer): Generator<readonly Buffer[]> {
  yield [bytes];
  yield [...bytes].map((_, index) => bytes.subarray(index, index + 1));
  for (let at = 1; at < bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)];
};

/** Whatever differs among these lists of writes; clients cannot tell equal ones apart. */
export const distinct = function* (writes: Iterable<readonly Buffer[]>): Generator<readonly Buffer[]> {
  const known = new Set<string>();
  for (const each of writes) {
    const shape = each.map((write) => write.toString('base64')).join(' ');
    if (known.has(shape)) continue;
    known.add(shape);
    yield each;
  }
};
