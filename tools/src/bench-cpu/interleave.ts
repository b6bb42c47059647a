/** One run of one side, with the machine's read bandwidth right before and right after. */
export interface Slice {
  readonly side: number;
  readonly value: number;
  /** Bytes per second. */
  readonly before: number;
  readonly after: number;
}

/** Figures of a comparison, one value for each slice or pair that counts. */
export interface Samples {
  readonly values: readonly number[];
  /** Slices or pairs in which read bandwidth moved at most 5 %, and all there were. */
  readonly steady: number;
  readonly taken: number;
}

/** Read bandwidth may move by this much within what is compared. */
const steadiness = 0.05;

/**
 * Runs the sides in turn, A B B A A B B A and so on (A A A of one side), the bandwidth probe between any two, until
 * `isDone` says so after a round. A round is A B B A.
 */
export async function interleave(
  sides: readonly (() => Promise<number>)[],
  probe: () => Promise<number>,
  isDone: (rounds: number) => boolean,
): Promise<Slice[]> {
  const order = sides.length > 1 ? [0, 1, 1, 0] : [0, 0];
  const slices: Slice[] = [];
  let before = await probe();
  for (let rounds = 0; rounds === 0 || !isDone(rounds); rounds++)
    for (const side of order) {
      const value = await sides[side]!();
      const after = await probe();
      slices.push({ side, value, before, after });
      before = after;
    }
  return slices;
}

/** Values of what stayed steady; of everything when nothing did, which `steady` of zero then tells. */
function select(candidates: readonly { readonly value: number; readonly probes: readonly number[] }[]): Samples {
  const steady = candidates.filter(({ probes }) => Math.max(...probes) <= Math.min(...probes) * (1 + steadiness));
  const counted = steady.length > 0 ? steady : candidates;
  return { values: counted.map(({ value }) => value), steady: steady.length, taken: candidates.length };
}

/** Quotients of the first side over the second: of each two neighbours in time that are of different sides. */
export function ratios(slices: readonly Slice[]): Samples {
  const pairs = [];
  for (let i = 0; i + 1 < slices.length; i += 2) {
    const [one, other] = [slices[i]!, slices[i + 1]!];
    const [first, second] = one.side === 0 ? [one, other] : [other, one];
    pairs.push({ value: first.value / second.value, probes: [one.before, one.after, other.after] });
  }
  return select(pairs);
}

/** What `figure` makes of each slice of one side and the mean of its two probes. */
export function perSlice(
  slices: readonly Slice[],
  side: number,
  figure: (value: number, bandwidth: number) => number,
): Samples {
  return select(
    slices
      .filter((slice) => slice.side === side)
      .map(({ value, before, after }) => ({
        value: figure(value, (before + after) / 2),
        probes: [before, after],
      })),
  );
}
