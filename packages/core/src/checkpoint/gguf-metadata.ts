import type { GgufMetadata, GgufValue } from './checkpoint.js';

/** A long array whose bytes were read and whose items nobody has asked for yet. */
export interface LaterItems {
  readonly count: number;
  /** Throws `checkpoint_invalid` for items that are not what the array says they are. */
  decode(): readonly GgufValue[];
}

/** Metadata whose long arrays become values when they are asked for: most of what reads a header never does. */
export class LaterMetadata implements ReadonlyMap<string, GgufValue> {
  readonly #entries: Map<string, GgufValue>;
  readonly #later: Map<string, LaterItems>;

  /** The keys of `later` stand among those of `entries`, with any value, so that the order of the file is kept. */
  constructor(entries: ReadonlyMap<string, GgufValue>, later: ReadonlyMap<string, LaterItems>) {
    this.#entries = new Map(entries);
    this.#later = new Map(later);
  }

  get size(): number {
    return this.#entries.size;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  get(key: string): GgufValue | undefined {
    const later = this.#later.get(key);
    if (later) {
      this.#entries.set(key, later.decode());
      this.#later.delete(key);
    }
    return this.#entries.get(key);
  }

  /** Items of an array, without decoding them; undefined for what is no array. */
  countOf(key: string): number | undefined {
    const value = this.#later.get(key) ?? this.#entries.get(key);
    if (Array.isArray(value)) return value.length;
    return typeof value === 'object' ? (value as LaterItems).count : undefined;
  }

  /** The same with further entries behind it. */
  with(more: Iterable<readonly [string, GgufValue]>): LaterMetadata {
    return new LaterMetadata(new Map([...this.#entries, ...more]), this.#later);
  }

  forEach(visit: (value: GgufValue, key: string, map: GgufMetadata) => void): void {
    for (const [key, value] of this) visit(value, key, this);
  }

  keys(): MapIterator<string> {
    return this.#entries.keys();
  }

  *values(): MapIterator<GgufValue> {
    for (const key of this.#entries.keys()) yield this.get(key)!;
  }

  *entries(): MapIterator<[string, GgufValue]> {
    for (const key of this.#entries.keys()) yield [key, this.get(key)!];
  }

  [Symbol.iterator](): MapIterator<[string, GgufValue]> {
    return this.entries();
  }
}

/** Metadata with further entries behind it. */
export const withEntries = (metadata: GgufMetadata, more: readonly (readonly [string, GgufValue])[]): GgufMetadata =>
  metadata instanceof LaterMetadata ? metadata.with(more) : new Map([...metadata, ...more]);

/** Items of an array of the metadata; undefined when the key is absent or has no array. */
export function ggufCount(metadata: GgufMetadata, key: string): number | undefined {
  if (metadata instanceof LaterMetadata) return metadata.countOf(key);
  const value = metadata.get(key);
  return Array.isArray(value) ? value.length : undefined;
}
