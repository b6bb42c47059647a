import { z } from 'zod';

type Path = readonly PropertyKey[];

const unwrap = (schema: z.core.$ZodType): z.core.$ZodType => {
  let inner = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault)
    inner = inner.unwrap();
  return inner;
};

/** Schema at a path of keys and indexes; undefined where the document may hold nothing. */
export const schemaAt = (schema: z.core.$ZodType, path: Path): z.core.$ZodType | undefined => {
  let here: z.core.$ZodType | undefined = unwrap(schema);
  for (const step of path) {
    if (here instanceof z.ZodObject && typeof step === 'string' && Object.hasOwn(here.shape, step)) {
      here = unwrap(here.shape[step] as z.core.$ZodType);
    } else if (here instanceof z.ZodArray && typeof step === 'number') here = unwrap(here.element as z.core.$ZodType);
    else return undefined;
  }
  return here;
};

/** Keys that the table at a path may hold. */
export const keysAt = (schema: z.core.$ZodType, path: Path): string[] => {
  const here = schemaAt(schema, path);
  return here instanceof z.ZodObject ? Object.keys(here.shape) : [];
};

/** Number of single-letter edits between two words, two rows at a time. */
const editDistance = (a: string, b: string): number => {
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const here = [row];
    for (let column = 1; column <= b.length; column++) {
      const replace = above[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      here.push(Math.min(replace, above[column]! + 1, here[column - 1]! + 1));
    }
    above = here;
  }
  return above[b.length]!;
};

/** The known word most like `word`, when one is like it at all. */
export const nearestOf = (word: string, known: readonly string[]): string | undefined => {
  const wanted = word.slice(0, 100).toLowerCase();
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const name of known) {
    const distance = editDistance(wanted, name.toLowerCase());
    if (!best || distance < best.distance) best = { name, distance };
  }
  return best && best.distance <= Math.max(2, Math.ceil(best.name.length / 2)) ? best.name : undefined;
};
