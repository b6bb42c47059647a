export type Labels<Name extends string = string> = Readonly<Partial<Record<Name, string>>>;

/** The series of one metric by the values of its labels: finding one costs a look into a map. */
export class Children<Name extends string, Child> {
  readonly #names: readonly Name[];
  readonly #make: () => Child;
  readonly #byValues = new Map<string, { readonly labels: Labels<Name>; readonly child: Child }>();

  constructor(names: readonly Name[], make: () => Child) {
    this.#names = names;
    this.#make = make;
  }

  of(labels: Labels<Name>): Child {
    let key = '';
    // A name that is missing is another series than one that is empty.
    for (const name of this.#names) key += `${labels[name] ?? '\x01'}\0`;
    let entry = this.#byValues.get(key);
    if (!entry) {
      entry = { labels: { ...labels }, child: this.#make() };
      this.#byValues.set(key, entry);
    }
    return entry.child;
  }

  get all(): Iterable<{ readonly labels: Labels<Name>; readonly child: Child }> {
    return this.#byValues.values();
  }
}
