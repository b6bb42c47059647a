import { CortexError } from '@helexa/core';

/** A schema and where it stands in its document, as a JSON pointer with `#`. */
export interface Located {
  readonly schema: unknown;
  readonly path: string;
}

/** Refuses what cannot be enforced, by its keyword and its place. */
export type RefuseKeyword = (keyword: string, path: string, reason: string) => never;

/** Refusals for a schema of this request field. */
export function refuseKeyword(param: string): RefuseKeyword {
  return (keyword, path, reason) => {
    throw new CortexError('grammar_unsupported', { param, keyword, path, reason });
  };
}

/** The place of a member: `~` and `/` in its name are escaped as JSON pointers want it. */
export const below = (path: string, ...names: readonly (string | number)[]): string =>
  [path, ...names.map((name) => String(name).replaceAll('~', '~0').replaceAll('/', '~1'))].join('/');
