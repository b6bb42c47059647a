import { lastPoint, type PointRange, type RegexNode } from './parse-regex.js';

/** A deterministic automaton over code points; state 0 is the start, and where no edge leads nothing is admitted. */
export interface TextAutomaton {
  readonly states: readonly TextState[];
}

export interface TextState {
  readonly isFinal: boolean;
  /** In order, and none over another. */
  readonly edges: readonly TextEdge[];
}

export interface TextEdge {
  readonly low: number;
  readonly high: number;
  readonly target: number;
}

/** States beyond which an automaton is given up. */
export const maxTextStates = 4096;

/** Given up: too many states. */
export const tooLarge = Symbol('too large');

export type TextResult = TextAutomaton | typeof tooLarge;

/** Makes an automaton from what may stand in one of its states; equal keys are one state. */
function explore<Key>(
  start: Key,
  nameOf: (key: Key) => string,
  look: (key: Key) => {
    readonly isFinal: boolean;
    readonly edges: readonly { readonly range: PointRange; readonly key: Key }[];
  },
): TextResult {
  const ids = new Map([[nameOf(start), 0]]);
  const keys = [start];
  const states: TextState[] = [];
  for (let at = 0; at < keys.length; at++) {
    if (keys.length > maxTextStates) return tooLarge;
    const { isFinal, edges } = look(keys[at]!);
    const made: TextEdge[] = [];
    for (const { range, key } of edges) {
      const name = nameOf(key);
      let target = ids.get(name);
      if (target === undefined) {
        target = keys.push(key) - 1;
        ids.set(name, target);
      }
      const last = made.at(-1);
      if (last && last.target === target && last.high + 1 === range[0])
        made[made.length - 1] = { ...last, high: range[1] };
      else made.push({ low: range[0], high: range[1], target });
    }
    states.push({ isFinal, edges: made });
  }
  return minimise(trim({ states }));
}

/** Cuts overlapping ranges into pieces; each piece has everything that covers it. */
function pieces<Value>(ranges: readonly (readonly [PointRange, Value])[]): { range: PointRange; values: Value[] }[] {
  const cuts = [...new Set(ranges.flatMap(([[low, high]]) => [low, high + 1]))].sort((a, b) => a - b);
  const found = cuts
    .slice(0, -1)
    .map((low, index) => ({ range: [low, cuts[index + 1]! - 1] as const, values: [] as Value[] }));
  const indexOf = new Map(cuts.map((cut, index) => [cut, index]));
  for (const [[low, high], value] of ranges) {
    for (let index = indexOf.get(low)!; index < indexOf.get(high + 1)!; index++) found[index]!.values.push(value);
  }
  return found.filter(({ values }) => values.length > 0);
}

interface NfaState {
  readonly points: { readonly ranges: readonly PointRange[]; readonly target: number }[];
  readonly silent: { readonly target: number; readonly needs: 'start' | 'end' | null }[];
}

/** Texts in which an expression is found; anywhere, unless anchors say otherwise. */
export function automatonOfRegex(node: RegexNode): TextResult {
  const states: NfaState[] = [];
  let isTooLarge = false;
  const state = (): number => {
    if (states.length > 16 * maxTextStates) isTooLarge = true;
    return states.push({ points: [], silent: [] }) - 1;
  };
  const link = (from: number, target: number, needs: 'start' | 'end' | null = null): void => {
    states[from]!.silent.push({ target, needs });
  };
  const build = (part: RegexNode, from: number, to: number): void => {
    if (isTooLarge) return;
    switch (part.kind) {
      case 'points':
        states[from]!.points.push({ ranges: part.ranges, target: to });
        return;
      case 'start':
      case 'end':
        link(from, to, part.kind);
        return;
      case 'choice':
        for (const option of part.options) build(option, from, to);
        return;
      case 'sequence': {
        let at = from;
        for (const each of part.parts) {
          const next = state();
          build(each, at, next);
          at = next;
        }
        link(at, to);
        return;
      }
      case 'repeat': {
        let at = from;
        for (let i = 0; i < part.min && !isTooLarge; i++) {
          const next = state();
          build(part.body, at, next);
          at = next;
        }
        if (part.max === null) {
          const loop = state();
          const back = state();
          link(at, loop);
          build(part.body, loop, back);
          link(back, loop);
          link(loop, to);
          return;
        }
        for (let i = part.min; i < part.max && !isTooLarge; i++) {
          const inner = state();
          const next = state();
          link(at, to);
          link(at, inner);
          build(part.body, inner, next);
          at = next;
        }
        link(at, to);
        return;
      }
    }
  };
  const anything = [[0, lastPoint]] as const;
  const [before, inside, after] = [state(), state(), state()];
  states[before]!.points.push({ ranges: anything, target: before });
  states[after]!.points.push({ ranges: anything, target: after });
  link(before, inside);
  build(node, inside, after);
  if (isTooLarge) return tooLarge;

  // 2 * state, plus 1 behind an end anchor: nothing more may be read.
  const close = (from: Iterable<number>, isStart: boolean): number[] => {
    const reached = new Set(from);
    for (const item of reached) {
      for (const { target, needs } of states[item >> 1]!.silent) {
        if (needs === 'start' && !isStart) continue;
        reached.add(2 * target + (needs === 'end' ? 1 : item & 1));
      }
    }
    return [...reached].sort((a, b) => a - b);
  };
  return explore(
    close([2 * before], true),
    (items) => items.join(),
    (items) => ({
      isFinal: items.some((item) => item >> 1 === after),
      edges: pieces(
        items
          .filter((item) => (item & 1) === 0)
          .flatMap((item) => states[item >> 1]!.points)
          .flatMap(({ ranges, target }) => ranges.map((range) => [range, target] as const)),
      ).map(({ range, values }) => ({ range, key: close(new Set(values.map((target) => 2 * target)), false) })),
    }),
  );
}

/** Texts of these alone. */
export function automatonOfTexts(texts: readonly string[]): TextResult {
  const options = texts.map(
    (text): RegexNode => ({
      kind: 'sequence',
      parts: [
        { kind: 'start' },
        ...[...text].map(
          (char): RegexNode => ({ kind: 'points', ranges: [[char.codePointAt(0)!, char.codePointAt(0)!]] }),
        ),
        { kind: 'end' },
      ],
    }),
  );
  return automatonOfRegex({ kind: 'choice', options });
}

/** Texts of so many code points. */
export function automatonOfLength(min: number, max: number | null): TextResult {
  const last = max ?? min;
  if (last >= maxTextStates) return tooLarge;
  return {
    states: Array.from({ length: last + 1 }, (_, count) => ({
      isFinal: count >= min,
      edges:
        count < last
          ? [{ low: 0, high: lastPoint, target: count + 1 }]
          : max === null
            ? [{ low: 0, high: lastPoint, target: count }]
            : [],
    })),
  };
}

/** Texts that both admit, or with `isWithout` those of the first that the second does not. */
export function combine(a: TextAutomaton, b: TextAutomaton, isWithout = false): TextResult {
  // -1: the second admits nothing any more.
  return explore(
    [0, 0] as readonly [number, number],
    (key) => key.join(),
    ([left, right]) => {
      const own = a.states[left]!;
      const other = right < 0 ? null : b.states[right]!;
      const ranges: (readonly [PointRange, { readonly side: 0 | 1; readonly target: number }])[] = [
        ...own.edges.map(({ low, high, target }) => [[low, high], { side: 0, target }] as const),
        ...(other?.edges ?? []).map(({ low, high, target }) => [[low, high], { side: 1, target }] as const),
      ];
      return {
        isFinal: own.isFinal && (other?.isFinal ?? false) !== isWithout,
        edges: pieces(ranges).flatMap(({ range, values }) => {
          const leftTo = values.find(({ side }) => side === 0)?.target;
          const rightTo = values.find(({ side }) => side === 1)?.target ?? -1;
          if (leftTo === undefined || (rightTo < 0 && !isWithout)) return [];
          return [{ range, key: [leftTo, rightTo] as const }];
        }),
      };
    },
  );
}

/** Every text. */
export const anyText: TextAutomaton = { states: [{ isFinal: true, edges: [{ low: 0, high: lastPoint, target: 0 }] }] };

export const isEmpty = ({ states }: TextAutomaton): boolean => states.every(({ isFinal }) => !isFinal);

/** Whether a text is admitted. */
export function admits({ states }: TextAutomaton, text: string): boolean {
  let state: TextState | undefined = states[0];
  for (const char of text) {
    const point = char.codePointAt(0)!;
    const edge: TextEdge | undefined = state?.edges.find(({ low, high }) => point >= low && point <= high);
    state = edge && states[edge.target];
  }
  return state?.isFinal ?? false;
}

/** Leaves out edges to states from which no end is reached. */
function trim({ states }: TextAutomaton): TextAutomaton {
  const sources: number[][] = states.map(() => []);
  for (const [id, { edges }] of states.entries()) for (const { target } of edges) sources[target]!.push(id);
  const alive = new Set(states.flatMap(({ isFinal }, id) => (isFinal ? [id] : [])));
  for (const id of alive) for (const source of sources[id]!) alive.add(source);
  return {
    states: states.map((state) => ({ ...state, edges: state.edges.filter(({ target }) => alive.has(target)) })),
  };
}

/** Joins states that admit the same, by splitting classes until nothing splits any more. */
function minimise({ states }: TextAutomaton): TextAutomaton {
  let classes: readonly number[] = states.map(({ isFinal }) => (isFinal ? 1 : 0));
  let count = new Set(classes).size;
  for (;;) {
    const names = new Map<string, number>();
    const next = states.map(({ edges }, id) => {
      const name = `${classes[id]}:${joined(edges.map((edge) => ({ ...edge, target: classes[edge.target]! })))
        .map(({ low, high, target }) => `${low}-${high}>${target}`)
        .join()}`;
      if (!names.has(name)) names.set(name, names.size);
      return names.get(name)!;
    });
    classes = next;
    if (names.size === count) break;
    count = names.size;
  }
  const made: TextState[] = [];
  const order: number[] = [];
  // The class of the start comes first: the others keep the order in which they are met.
  const placeOf = new Map<number, number>();
  for (const [id, name] of classes.entries()) {
    if (placeOf.has(name)) continue;
    placeOf.set(name, order.push(id) - 1);
  }
  for (const id of order) {
    const { isFinal, edges } = states[id]!;
    made.push({
      isFinal,
      edges: joined(edges.map((edge) => ({ ...edge, target: placeOf.get(classes[edge.target]!)! }))),
    });
  }
  return { states: made };
}

/** Neighbouring edges to one target as one edge. */
function joined(edges: readonly TextEdge[]): TextEdge[] {
  const made: TextEdge[] = [];
  for (const edge of edges) {
    const last = made.at(-1);
    if (last && last.target === edge.target && last.high + 1 === edge.low)
      made[made.length - 1] = { ...last, high: edge.high };
    else made.push(edge);
  }
  return made;
}
