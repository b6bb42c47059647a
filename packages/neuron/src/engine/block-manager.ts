import { CortexError } from '@helexa/core';
import { pageTokens } from '@helexa/graph';
import { StateStore } from './state-store.js';

/** Who may share the pages of a prompt: everyone, only sequences of one group (the choices of one request), or nobody. */
export type ReuseScope = 'shared' | 'group' | 'none';

export interface BlockManagerOptions {
  readonly pages: number;
  readonly reuse: ReuseScope;
  /** Of a model with recurrent state: states of the device that may be kept. A page then serves only with the state after it. */
  readonly states?: { readonly first: number; readonly count: number } | null;
}

/** Pages that one sequence holds. Owner: the engine, which must `release` it exactly once. */
export interface PageLease {
  /** Page ids in position order; read-only outside the block manager. */
  readonly pages: number[];
  /** Tokens at the start of the prompt whose keys and values were there already: a multiple of the page size. */
  readonly reusedTokens: number;
  /** The kept state after those tokens; null: the model has none, or nothing is reused. */
  readonly state: number | null;
  /** Token counts of the prompt, ascending, after which the state is worth keeping: where others went on, and its last page. */
  readonly marks: readonly number[];
}

export interface PageCounts {
  readonly free: number;
  /** Held by no sequence, but still found by prefix. */
  readonly cached: number;
  readonly used: number;
  /** Promised to running sequences and not taken yet. */
  readonly reserved: number;
}

/** A full page that can be found by its content: the tokens before it are those of its chain of parents. */
interface CachedPage {
  readonly page: number;
  readonly hash: number;
  readonly parent: CachedPage | null;
  readonly group: number;
  readonly tokens: readonly number[];
}

interface Lease extends PageLease {
  readonly group: number;
  /** Per full page the findable page of that content, not always its own; null from where the chain was evicted. */
  readonly chain: (CachedPage | null)[];
  promised: number;
  released: boolean;
}

/**
 * Pages of the key/value pool: reference counts, reservations, and reuse of full pages by a hash chain over their tokens.
 *
 * What must stay true: a page is free, cached or used, never two of them; a page that will still be written has exactly
 * one owner; promised pages can always be taken.
 */
export class BlockManager {
  readonly #references: Int32Array;
  readonly #free: number[] = [];
  /** Least recently used first: pages that nobody holds but that can still be found. */
  readonly #idle = new Map<number, CachedPage>();
  readonly #byHash = new Map<number, CachedPage>();
  readonly #byPage = new Map<number, CachedPage>();
  readonly #options: BlockManagerOptions;
  readonly #states: StateStore<CachedPage> | null;
  #reserved = 0;

  constructor(options: BlockManagerOptions) {
    this.#options = options;
    this.#states = options.states && options.reuse !== 'none' ? new StateStore(options.states) : null;
    this.#references = new Int32Array(options.pages);
    for (let page = options.pages - 1; page >= 0; page--) this.#free.push(page);
  }

  get counts(): PageCounts {
    const free = this.#free.length;
    const cached = this.#idle.size;
    return { free, cached, used: this.#options.pages - free - cached, reserved: this.#reserved };
  }

  /**
   * Takes the pages of a prompt, reusing what is there, and reserves the rest of `capTokens`; null when they do not fit now.
   *
   * At least the last prompt token is left to compute, so that there is a row to sample from.
   */
  admit(prompt: readonly number[], capTokens: number, group = 0): PageLease | null {
    const scope = this.#options.reuse === 'group' ? group : 0;
    const known = this.#options.reuse === 'none' ? [] : this.#find(prompt, scope);
    const found = this.#states ? known.slice(0, this.#lastWithState(known) + 1) : known;
    const total = Math.ceil(capTokens / pageTokens);
    const idle = found.filter((entry) => this.#references[entry.page] === 0).length;
    if (total - found.length + idle > this.#available()) return null;
    for (const entry of found) this.#hold(entry.page);
    const lease: Lease = {
      pages: found.map((entry) => entry.page),
      reusedTokens: found.length * pageTokens,
      state: found.length > 0 ? (this.#states?.use(found.at(-1)!) ?? null) : null,
      marks: this.#states ? marksOf(prompt.length, known.length, found.length) : [],
      group: scope,
      chain: [...found],
      promised: total - found.length,
      released: false,
    };
    this.#reserved += lease.promised;
    this.cover(lease, prompt.length);
    return lease;
  }

  /** Sees to it that the lease has pages for `tokens` positions, out of what was promised to it. */
  cover(lease: PageLease, tokens: number): void {
    const own = lease as Lease;
    while (own.pages.length * pageTokens < tokens) {
      if (own.promised === 0)
        throw new CortexError('internal_error', { reason: 'a sequence outgrew its reserved pages' });
      own.promised -= 1;
      this.#reserved -= 1;
      own.pages.push(this.#take());
    }
  }

  /** Makes the full pages among the first `computed` tokens findable by later prompts. */
  register(lease: PageLease, tokens: readonly number[], computed: number): void {
    if (this.#options.reuse === 'none') return;
    const own = lease as Lease;
    const full = Math.floor(computed / pageTokens);
    for (let index = own.chain.length; index < full; index++) {
      const parent = index === 0 ? null : (own.chain[index - 1] ?? null);
      // Under an evicted parent a page could never be reached, and would displace one that can.
      if (index > 0 && (parent === null || this.#byHash.get(parent.hash) !== parent)) {
        own.chain.push(null);
        continue;
      }
      const slice = tokens.slice(index * pageTokens, (index + 1) * pageTokens);
      own.chain.push(this.#registerPage(own.pages[index]!, parent, own.group, slice));
    }
  }

  /** Where to keep the state of a sequence that has just computed so many tokens; null: it is not worth it, or known. */
  keepState(lease: PageLease, computed: number): number | null {
    const entry = lease.marks.includes(computed) ? (lease as Lease).chain[computed / pageTokens - 1] : null;
    if (!this.#states || !entry || this.#byHash.get(entry.hash) !== entry || this.#states.has(entry)) return null;
    return this.#states.take(entry);
  }

  /** Gives everything back; pages with known content stay findable until their room is needed. */
  release(lease: PageLease): void {
    const own = lease as Lease;
    if (own.released)
      throw new CortexError('internal_error', { reason: 'the pages of a sequence were released twice' });
    own.released = true;
    this.#reserved -= own.promised;
    own.promised = 0;
    // Tail first: the end of a prefix is of no use without its beginning, so it must be evicted earlier.
    for (const page of own.pages.toReversed()) this.#drop(page);
    own.pages.length = 0;
  }

  #available(): number {
    return this.#free.length + this.#idle.size - this.#reserved;
  }

  #find(prompt: readonly number[], group: number): CachedPage[] {
    const found: CachedPage[] = [];
    const most = Math.floor((prompt.length - 1) / pageTokens);
    let parent: CachedPage | null = null;
    for (let index = 0; index < most; index++) {
      const start = index * pageTokens;
      const entry: CachedPage | undefined = this.#byHash.get(hashPage(parent, group, prompt, start));
      if (!entry || !isSamePage(entry, parent, group, prompt, start)) break;
      found.push(entry);
      parent = entry;
    }
    return found;
  }

  #lastWithState(found: readonly CachedPage[]): number {
    return found.findLastIndex((entry) => this.#states?.has(entry));
  }

  #registerPage(page: number, parent: CachedPage | null, group: number, tokens: readonly number[]): CachedPage {
    const hash = hashPage(parent, group, tokens, 0);
    const present = this.#byHash.get(hash);
    if (present) {
      if (isSamePage(present, parent, group, tokens, 0)) return present;
      this.#forget(present);
    }
    const entry: CachedPage = { page, hash, parent, group, tokens };
    this.#byHash.set(hash, entry);
    this.#byPage.set(page, entry);
    return entry;
  }

  #forget(entry: CachedPage): void {
    this.#states?.forget(entry);
    this.#byHash.delete(entry.hash);
    this.#byPage.delete(entry.page);
    if (this.#idle.delete(entry.page)) this.#free.push(entry.page);
  }

  #hold(page: number): void {
    this.#references[page] = this.#references[page]! + 1;
    this.#idle.delete(page);
  }

  #take(): number {
    if (this.#free.length === 0) {
      const oldest = this.#idle.values().next().value;
      if (!oldest) throw new CortexError('internal_error', { reason: 'the page pool ran out below its reservations' });
      this.#forget(oldest);
    }
    const page = this.#free.pop()!;
    this.#references[page] = 1;
    return page;
  }

  #drop(page: number): void {
    const left = this.#references[page]! - 1;
    this.#references[page] = left;
    if (left > 0) return;
    const entry = this.#byPage.get(page);
    if (entry && this.#options.reuse === 'shared') {
      this.#idle.set(page, entry);
      return;
    }
    if (entry) {
      this.#states?.forget(entry);
      this.#byHash.delete(entry.hash);
      this.#byPage.delete(page);
    }
    this.#free.push(page);
  }
}

function marksOf(promptTokens: number, knownPages: number, reusedPages: number): number[] {
  const last = Math.floor((promptTokens - 1) / pageTokens);
  return [...new Set([knownPages, last])].filter((pages) => pages > reusedPages).map((pages) => pages * pageTokens);
}

/** 53-bit hash of a page's tokens, chained to its parent's; equality is always verified by `isSamePage`. */
function hashPage(parent: CachedPage | null, group: number, tokens: readonly number[], start: number): number {
  let low = (parent ? parent.hash % 0x1_0000_0000 : 0x811c9dc5) ^ group;
  let high = parent ? Math.floor(parent.hash / 0x1_0000_0000) : 0x1b873;
  for (let index = start; index < start + pageTokens; index++) {
    const token = tokens[index]!;
    low = Math.imul(low ^ token, 0x01000193);
    low ^= low >>> 15;
    high = Math.imul(high ^ (token + index - start), 0x85ebca6b);
    high ^= high >>> 13;
  }
  return (high & 0x1f_ffff) * 0x1_0000_0000 + (low >>> 0);
}

function isSamePage(
  entry: CachedPage,
  parent: CachedPage | null,
  group: number,
  tokens: readonly number[],
  start: number,
): boolean {
  if (entry.parent !== parent || entry.group !== group) return false;
  return entry.tokens.every((token, index) => tokens[start + index] === token);
}
