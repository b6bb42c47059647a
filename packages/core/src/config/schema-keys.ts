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
