import type { AdmissionLimits } from './admission-limits.js';

export interface QueueEntry {
  /** Who asks; null: nobody known. */
  readonly principal: string | null;
  /** Tokens that it may take: its prompt and its longest output. */
  readonly work: number;
}

/** Why a newcomer is turned away at once. */
export type DoorRefusal = 'queue_full' | 'per_principal' | 'anon_yield';

/** One principal's share of the machine. */
interface Lane<Entry> {
  readonly waiting: Entry[];
  running: number;
  /** Token work given to it, on the scale of the queue's virtual time. */
  served: number;
}

/**
 * Who waits for a seat, and whose turn it is: the principal that was given the least token work goes first, so a heavy one
 * cannot keep a light one waiting; one that comes back from a pause starts level with the others and saves nothing up. Callers
 * without a principal get what is left: only while nobody else waits. Data only; time and resources are its user's.
 *
 * At the door a principal may have no more waiting than there are places left, so the queue always has room for another.
 */
export class AdmissionQueue<Entry extends QueueEntry> {
  readonly #limits: AdmissionLimits;
  readonly #lanes = new Map<string, Lane<Entry>>();
  readonly #anonymous: Lane<Entry> = { waiting: [], running: 0, served: 0 };
  /** Work given to the principal that was last chosen. */
  #virtualTime = 0;
  #waiting = 0;
  #running = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get waiting(): number {
    return this.#waiting;
  }

  get running(): number {
    return this.#running;
  }

  get anonymousRunning(): number {
    return this.#anonymous.running;
  }

  /** Principals that something is remembered of. */
  get lanes(): number {
    return this.#lanes.size;
  }

  /** Those that wait, in no particular order. */
  get entries(): Entry[] {
    return [...this.#identified(), this.#anonymous].flatMap((lane) => lane.waiting);
  }

  /** Whether a caller with a principal waits: then nobody without one is admitted. */
  get hasIdentifiedWaiting(): boolean {
    return this.#waiting > this.#anonymous.waiting.length;
  }

  /** Why so many newcomers of a principal cannot come in now; null: they can. */
  refuse(principal: string | null, count: number): DoorRefusal | null {
    const { seats, maxWaiting, maxPerPrincipal, anonMaxRunning, anonMaxPending } = this.#limits;
    const places = seats + maxWaiting - this.#waiting - this.#running;
    if (count > places) return 'queue_full';
    const { waiting, running } = this.#laneOf(principal) ?? { waiting: [], running: 0 };
    const pending = waiting.length + running;
    if (principal === null) return anonMaxRunning === 0 || pending + count > anonMaxPending ? 'anon_yield' : null;
    if (maxPerPrincipal > 0 && pending + count > maxPerPrincipal) return 'per_principal';
    return waiting.length + count > places ? 'per_principal' : null;
  }

  /** How many get a seat before a newcomer of this principal does, at most. */
  ahead(principal: string | null): number {
    if (principal === null) return this.#waiting;
    const identified = this.#waiting - this.#anonymous.waiting.length;
    const own = this.#lanes.get(principal)?.waiting.length ?? 0;
    const others = [...this.#identified()].filter((lane) => lane.waiting.length > 0).length - (own > 0 ? 1 : 0);
    return Math.min(identified, own + (own + 1) * others);
  }

  add(entry: Entry): void {
    const lane = this.#openLane(entry.principal);
    if (lane.waiting.length === 0) lane.served = Math.max(lane.served, this.#virtualTime);
    lane.waiting.push(entry);
    this.#waiting += 1;
  }

  /**
   * Gives seats away. The one whose turn it is and that does not fit blocks those behind it, so a large one cannot be passed
   * for ever; `isHeld` ones are stepped over. `tryPlace` takes the resources and answers whether it could.
   */
  admit(isHeld: (entry: Entry) => boolean, tryPlace: (entry: Entry) => boolean): void {
    while (this.#running < this.#limits.seats) {
      const lane = this.#nextLane(isHeld);
      const entry = lane?.waiting.find((each) => !isHeld(each));
      if (!lane || !entry || !tryPlace(entry)) break;
      lane.waiting.splice(lane.waiting.indexOf(entry), 1);
      lane.running += 1;
      this.#waiting -= 1;
      this.#running += 1;
      if (lane !== this.#anonymous) this.#virtualTime = Math.max(this.#virtualTime, lane.served);
      lane.served += entry.work;
    }
    this.#forget();
  }

  /** Takes out one that waits; false: it does not wait. */
  remove(entry: Entry): boolean {
    const waiting = this.#laneOf(entry.principal)?.waiting ?? [];
    const index = waiting.indexOf(entry);
    if (index < 0) return false;
    waiting.splice(index, 1);
    this.#waiting -= 1;
    return true;
  }

  /** Takes back the seat of one that was admitted; what it did not use of its work was not given. */
  release(entry: Entry, unusedWork: number): void {
    const lane = this.#openLane(entry.principal);
    lane.running -= 1;
    lane.served -= unusedWork;
    this.#running -= 1;
  }

  #identified(): Iterable<Lane<Entry>> {
    return this.#lanes.values();
  }

  #laneOf(principal: string | null): Lane<Entry> | undefined {
    return principal === null ? this.#anonymous : this.#lanes.get(principal);
  }

  #openLane(principal: string | null): Lane<Entry> {
    const known = this.#laneOf(principal);
    if (known || principal === null) return known ?? this.#anonymous;
    const lane: Lane<Entry> = { waiting: [], running: 0, served: this.#virtualTime };
    this.#lanes.set(principal, lane);
    return lane;
  }

  #nextLane(isHeld: (entry: Entry) => boolean): Lane<Entry> | null {
    let next: Lane<Entry> | null = null;
    for (const lane of this.#identified()) {
      if (next !== null && lane.served >= next.served) continue;
      if (lane.waiting.some((entry) => !isHeld(entry))) next = lane;
    }
    if (next) return next;
    return this.#anonymous.running < this.#limits.anonMaxRunning ? this.#anonymous : null;
  }

  /** A principal without anything pending that would start level anyway need not be remembered. */
  #forget(): void {
    const isIdle = this.#waiting + this.#running === 0;
    if (isIdle) this.#virtualTime = 0;
    for (const [principal, lane] of this.#lanes) {
      if (lane.waiting.length + lane.running > 0) continue;
      if (isIdle || lane.served <= this.#virtualTime) this.#lanes.delete(principal);
    }
  }
}
