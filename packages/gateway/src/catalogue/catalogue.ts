import type { CatalogueEntry, ModelsConfig } from '@helexa/core';

/** The models that the gateway may load, and the other names of models: a value, replaced whole on a reload. */
export interface Catalogue {
  /** In the order of their ids. */
  readonly entries: ReadonlyMap<string, CatalogueEntry>;
  readonly aliases: ReadonlyMap<string, string>;
}

const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** What neurons load from when nothing is named, and then do not write before an id. */
const ordinarySource = 'huggingface';

/** A model is known as its neurons list it, with its source before it; the id without the source is another name. */
const atNeurons = ({ id, source = ordinarySource }: CatalogueEntry): string =>
  source === ordinarySource ? id : `${source}:${id}`;

export const createCatalogue = ({ models, aliases }: ModelsConfig): Catalogue => {
  const sourced = new Map(
    models.filter((each) => atNeurons(each) !== each.id).map((each) => [each.id, atNeurons(each)]),
  );
  const entries = models.map((entry) => ({ ...entry, id: atNeurons(entry) }));
  const named = Object.entries(aliases).map(([alias, id]): [string, string] => [alias, sourced.get(id) ?? id]);
  return {
    entries: new Map(entries.sort((a, b) => byName(a.id, b.id)).map((entry) => [entry.id, entry])),
    aliases: new Map([...sourced, ...named].sort(([a], [b]) => byName(a, b))),
  };
};

export const emptyCatalogue: Catalogue = { entries: new Map(), aliases: new Map() };

/** The id that a name stands for: one step, so that no cycle can be. */
export const resolveAlias = (catalogue: Catalogue, name: string): string => catalogue.aliases.get(name) ?? name;

const ordinaryPriority = 100;
const pinnedPriority = 1000;

/** Who may displace whom; a model outside the catalogue is an ordinary one. */
export const residencyPriority = (catalogue: Catalogue, model: string): number => {
  const entry = catalogue.entries.get(model);
  return entry?.residency_priority ?? (entry && entry.pinned_on.length > 0 ? pinnedPriority : ordinaryPriority);
};
