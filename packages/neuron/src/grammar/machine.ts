import type { Automaton, Call } from './automaton.js';

/** What a rule returns to: its call, how often it has been passed, and what called that. One object for equal frames. */
export interface Frame {
  readonly id: number;
  /** Null: the bottom. */
  readonly call: Call | null;
  readonly count: number;
  readonly parent: Frame | null;
}

export interface Item {
  readonly state: number;
  readonly frame: Frame;
}

/**
 * Everything that the bytes so far may mean, at once: states that read something, each with what it returns to. One object
 * for equal sets, which remembers where each byte leads.
 */
export interface Config {
  readonly id: number;
  readonly items: readonly Item[];
  /** The whole text may end here. */
  readonly isFinal: boolean;
  /** A rule that was looked at by itself may end here: what follows is its caller's. */
  readonly isExit: boolean;
  /** Inside a JSON string that may go on for ever, between two characters. */
  readonly isOpenString: boolean;
  /** Where each byte leads; undefined: not known yet. */
  readonly next: (Config | undefined)[];
}

/**
 * Runs an automaton over bytes, as a deterministic machine that is made while it runs. What it has learnt can be forgotten
 * between two uses with `forget`; configs from before are then brought over with `adopt`.
 */
export class Machine {
  readonly automaton: Automaton;
  readonly dead: Config;
  #root!: Frame;
  #bottom!: Frame;
  #frames = new Map<string, Frame>();
  #configs = new Map<string, Config>();
  #frameIds = 0;
  #configIds = 0;
  #epoch = 0;

  constructor(automaton: Automaton) {
    this.automaton = automaton;
    this.dead = { id: -1, items: [], isFinal: false, isExit: false, isOpenString: false, next: [] };
    this.forget();
  }

  /** Configs it knows. */
  get size(): number {
    return this.#configs.size;
  }

  /** Changes when everything was forgotten. */
  get epoch(): number {
    return this.#epoch;
  }

  forget(): void {
    this.#frames = new Map();
    this.#configs = new Map();
    this.#root = { id: this.#frameIds++, call: null, count: 0, parent: null };
    this.#bottom = { id: this.#frameIds++, call: null, count: 0, parent: null };
    this.#epoch += 1;
  }

  /** A config of an earlier epoch as one of this. */
  adopt({ items, isFinal }: Config): Config {
    const frames = new Map<Frame, Frame>();
    const moved = (frame: Frame): Frame => {
      const known = frames.get(frame);
      if (known) return known;
      const made = frame.call === null ? this.#root : this.#frame(frame.call, frame.count, moved(frame.parent!));
      frames.set(frame, made);
      return made;
    };
    return this.#intern(
      items.map(({ state, frame }) => ({ state, frame: moved(frame) })),
      isFinal,
      false,
    );
  }

  /** Where every text begins. */
  start(): Config {
    return this.#closure([{ state: this.automaton.start, frame: this.#root }]);
  }

  /** One state looked at by itself, whatever called its rule. */
  alone(state: number): Config {
    return this.#closure([{ state, frame: this.#bottom }]);
  }

  /** A state within what called it. */
  within(state: number, frame: Frame): Config {
    return this.#closure([{ state, frame }]);
  }

  /** What follows when the rule that `frame` was made for ends. */
  after(frame: Frame): Config {
    const reached: Item[] = [];
    const ends = this.#pop(frame, reached);
    return this.#closure(reached, ends.isFinal, ends.isExit);
  }

  step(config: Config, byte: number): Config {
    const known = config.next[byte];
    if (known) return known;
    const { states } = this.automaton;
    const reached: Item[] = [];
    for (const { state, frame } of config.items) {
      for (const { low, high, target } of states[state]!.edges) {
        if (byte >= low && byte <= high) reached.push({ state: target, frame });
      }
    }
    const next = reached.length === 0 ? this.dead : this.#closure(reached);
    config.next[byte] = next;
    return next;
  }

  /** Where a mark leads; the dead config where it may not stand. */
  stepToken(config: Config, token: number): Config {
    const { states } = this.automaton;
    const reached: Item[] = [];
    for (const { state, frame } of config.items) {
      const { tokens, freeExcept } = states[state]!;
      for (const { id, target } of tokens) if (id === token) reached.push({ state: target, frame });
      if (freeExcept && !freeExcept.has(token)) reached.push({ state, frame });
    }
    return reached.length === 0 ? this.dead : this.#closure(reached);
  }

  #closure(from: readonly Item[], isFinalAlready = false, isExitAlready = false): Config {
    const { states } = this.automaton;
    const queue = [...from];
    const seen = new Set<string>();
    const items: Item[] = [];
    let isFinal = isFinalAlready;
    let isExit = isExitAlready;
    for (let item = queue.pop(); item; item = queue.pop()) {
      const key = `${item.state}.${item.frame.id}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const { frame } = item;
      const state = states[item.state]!;
      if (state.edges.length > 0 || state.tokens.length > 0 || state.freeExcept) items.push(item);
      for (const target of state.silent) queue.push({ state: target, frame });
      for (const call of state.calls) queue.push({ state: call.start, frame: this.#frame(call, 0, frame) });
      if (state.isFinal) {
        const ends = this.#pop(frame, queue);
        isFinal ||= ends.isFinal;
        isExit ||= ends.isExit;
      }
    }
    return items.length === 0 && !isFinal && !isExit ? this.dead : this.#intern(items, isFinal, isExit);
  }

  /** Ends the rule of a frame: adds what may follow, and says whether that is the end of everything. */
  #pop(frame: Frame, queue: Item[]): { readonly isFinal: boolean; readonly isExit: boolean } {
    if (frame.call === null) return { isFinal: frame === this.#root, isExit: frame === this.#bottom };
    const { min, max, target, start } = frame.call;
    const count = frame.count + 1;
    if (count >= min) queue.push({ state: target, frame: frame.parent! });
    if (max === null || count < max) {
      // Without an upper bound it does not matter how far beyond the lower one it is.
      const kept = max === null ? Math.min(count, min) : count;
      queue.push({ state: start, frame: this.#frame(frame.call, kept, frame.parent!) });
    }
    return { isFinal: false, isExit: false };
  }

  #frame(call: Call, count: number, parent: Frame): Frame {
    const key = `${call.id}.${count}.${parent.id}`;
    const known = this.#frames.get(key);
    if (known) return known;
    const made: Frame = { id: this.#frameIds++, call, count, parent };
    this.#frames.set(key, made);
    return made;
  }

  #intern(items: readonly Item[], isFinal: boolean, isExit: boolean): Config {
    const sorted = [...items].sort((a, b) => a.state - b.state || a.frame.id - b.frame.id);
    const key = `${sorted.map(({ state, frame }) => `${state}.${frame.id}`).join(' ')}${isFinal ? '!' : ''}${isExit ? '?' : ''}`;
    const known = this.#configs.get(key);
    if (known) return known;
    const made: Config = {
      id: this.#configIds++,
      items: sorted,
      isFinal,
      isExit,
      isOpenString: this.#isOpenString(sorted) && !isFinal && !isExit,
      next: new Array<Config | undefined>(256).fill(undefined),
    };
    this.#configs.set(key, made);
    return made;
  }

  /** The next character, or the quote that closes the same string: nothing else. */
  #isOpenString(items: readonly Item[]): boolean {
    const [a, b] = items;
    if (items.length !== 2 || !a || !b) return false;
    const [character, closing] = a.state === this.automaton.characterStart ? [a, b] : [b, a];
    const { call, count, parent } = character.frame;
    return (
      character.state === this.automaton.characterStart &&
      call !== null &&
      call.max === null &&
      count + 1 >= call.min &&
      closing.state === call.target &&
      closing.frame === parent
    );
  }
}
