/** How long a load takes is not known before the first one: a guess that is neither hopeful nor discouraging. */
const firstGuessMs = 30_000;
/** Weight of the newest load: disks warm up, and models move. */
const newestWeight = 0.5;

/** A model on its way to a node. */
export interface LoadWanted {
  readonly model: string;
  /** Absent when it is not known where it will be. */
  readonly node?: string | undefined;
  /** Memory that the model takes; absent when nobody knows. */
  readonly mb?: number | undefined;
}

const blend = (old: number | undefined, now: number): number =>
  old === undefined ? now : old + newestWeight * (now - old);

/** A running mean for each name. */
class Means {
  readonly #byName = new Map<string, number>();

  add(name: string, value: number): void {
    this.#byName.set(name, blend(this.#byName.get(name), value));
  }

  get(name: string): number | undefined {
    return this.#byName.get(name);
  }
}

const everywhere = '';
const both = (node: string, model: string): string => `${node}\0${model}`;

/**
 * How long loads took, so that a promise to a waiting client is an honest one. The nearest experience counts: this model on
 * this node; else the pace of this node, in time for each MiB; else this model elsewhere; else any pace, else any load.
 */
export class LoadHistory {
  readonly #times = new Means();
  readonly #paces = new Means();

  add({ node = everywhere, model, mb }: LoadWanted, ms: number): void {
    for (const name of [both(node, model), both(everywhere, model), both(everywhere, everywhere)])
      this.#times.add(name, ms);
    if (!mb) return;
    for (const name of [node, everywhere]) this.#paces.add(name, ms / mb);
  }

  expectedMs({ node = everywhere, model, mb }: LoadWanted): number {
    const paced = (name: string): number | undefined => {
      const pace = this.#paces.get(name);
      return mb && pace !== undefined ? pace * mb : undefined;
    };
    return (
      (node === everywhere ? undefined : (this.#times.get(both(node, model)) ?? paced(node))) ??
      this.#times.get(both(everywhere, model)) ??
      paced(everywhere) ??
      this.#times.get(both(everywhere, everywhere)) ??
      firstGuessMs
    );
  }

  /** Time that a load still needs; one that is late already is expected to be late by as much again as a quarter. */
  remainingMs(wanted: LoadWanted, elapsedMs: number): number {
    const expectedMs = this.expectedMs(wanted);
    return Math.max(1000, expectedMs - elapsedMs, elapsedMs > expectedMs ? elapsedMs / 4 : 0);
  }
}
