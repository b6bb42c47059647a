import type { TextAutomaton, TextEdge, TextState } from '../regex/text-automaton.js';

/** Where a number that is being written stands against its bounds. */
interface Place {
  /** Digits of the whole part in all; -1: behind the point. */
  readonly length: number;
  /** Digits of this part so far. */
  readonly at: number;
  /** Every digit so far is that of the bound. */
  readonly isOnLow: boolean;
  readonly isOnHigh: boolean;
}

const digitPoint = (digit: number): number => 0x30 + digit;
const pointPoint = 0x2e;

/**
 * Decimals without sign from `low` to `high`, both included, given as digits; null: no bound. At most so many digits before
 * and behind the point, and no zeros in front.
 */
export function decimalsBetween(
  low: string | null,
  high: string | null,
  wholeDigits: number,
  fractionDigits: number,
): TextAutomaton {
  const [lowWhole, lowFraction = ''] = (low ?? '0').split('.') as [string, string | undefined];
  const [highWhole, highFraction = ''] = (high ?? '').split('.') as [string, string | undefined];
  const ids = new Map<string, number>();
  const places: Place[] = [];
  const idOf = (place: Place): number => {
    const name = Object.values(place).join();
    const known = ids.get(name);
    if (known !== undefined) return known;
    const id = places.push(place);
    ids.set(name, id);
    return id;
  };
  const digitEdge = (digit: number, place: Place): TextEdge => ({
    low: digitPoint(digit),
    high: digitPoint(digit),
    target: idOf(place),
  });
  const firstEdges: TextEdge[] = [];
  const longest = high === null ? wholeDigits : Math.min(wholeDigits, highWhole.length);
  for (let length = lowWhole.length; length <= longest; length++) {
    const [isOnLow, isOnHigh] = [
      low !== null && length === lowWhole.length,
      high !== null && length === highWhole.length,
    ];
    const least = isOnLow ? Number(lowWhole[0]) : length === 1 ? 0 : 1;
    const most = isOnHigh ? Number(highWhole[0]) : 9;
    for (let digit = least; digit <= most; digit++) {
      const place = { length, at: 1, isOnLow: isOnLow && digit === least, isOnHigh: isOnHigh && digit === most };
      firstEdges.push(digitEdge(digit, place));
    }
  }
  const states: TextState[] = [{ isFinal: false, edges: firstEdges }];
  for (let index = 0; index < places.length; index++) {
    const { length, at, isOnLow, isOnHigh } = places[index]!;
    const isBehind = length < 0;
    const [lowDigits, highDigits] = isBehind ? [lowFraction, highFraction] : [lowWhole, highWhole];
    // What is not written is zeros: that must not fall below the lower bound.
    const lowRest = isBehind ? lowFraction.slice(at) : lowFraction;
    const isWritten = isBehind ? at > 0 : at === length;
    const edges: TextEdge[] = [];
    if (!isBehind && at === length && fractionDigits > 0) {
      const target = idOf({ length: -1, at: 0, isOnLow, isOnHigh });
      edges.push({ low: pointPoint, high: pointPoint, target });
    }
    if (at < (isBehind ? fractionDigits : length)) {
      const least = isOnLow ? Number(lowDigits[at] ?? '0') : 0;
      const most = isOnHigh ? Number(highDigits[at] ?? '0') : 9;
      for (let digit = least; digit <= most; digit++) {
        const place = { length, at: at + 1, isOnLow: isOnLow && digit === least, isOnHigh: isOnHigh && digit === most };
        edges.push(digitEdge(digit, place));
      }
    }
    states.push({ isFinal: isWritten && !(isOnLow && /[1-9]/.test(lowRest)), edges });
  }
  return determined({ states });
}

/** One state for each set of places that the same digits lead to: numbers of several lengths begin alike. */
function determined({ states }: TextAutomaton): TextAutomaton {
  const ids = new Map<string, number>([['0', 0]]);
  const sets: (readonly number[])[] = [[0]];
  const made: TextState[] = [];
  for (let index = 0; index < sets.length; index++) {
    const set = sets[index]!;
    const byPoint = new Map<number, Set<number>>();
    for (const { low, target } of set.flatMap((id) => states[id]!.edges)) {
      byPoint.set(low, (byPoint.get(low) ?? new Set<number>()).add(target));
    }
    const edges = [...byPoint]
      .sort(([a], [b]) => a - b)
      .map(([point, targets]) => {
        const next = [...targets].sort((a, b) => a - b);
        const name = next.join();
        if (!ids.has(name)) ids.set(name, sets.push(next) - 1);
        return { low: point, high: point, target: ids.get(name)! };
      });
    made.push({ isFinal: set.some((id) => states[id]!.isFinal), edges });
  }
  return { states: made };
}
