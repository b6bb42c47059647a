import { CortexError } from '@helexa/core';

/** A repository of one registry. */
export interface SourceId {
  readonly scheme: string;
  /** `org/name`: all that the registry itself sees. */
  readonly repository: string;
}

const partPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$/;
const schemePattern = /^[a-z][a-z0-9-]{1,30}$/;

const refuse = (id: string, reason: string): never => {
  throw new CortexError('model_id_invalid', { model: id.slice(0, 200), reason });
};

/** Parses `org/name` or `scheme:org/name`; refuses everything that no registry could have, a path above all. */
export function parseSourceId(id: string, defaultScheme: string): SourceId {
  const colon = id.indexOf(':');
  const scheme = colon === -1 ? defaultScheme : id.slice(0, colon);
  const repository = id.slice(colon + 1);
  if (!schemePattern.test(scheme)) return refuse(id, `'${scheme.slice(0, 40)}' is no name of a source`);
  const parts = repository.split('/');
  if (parts.length !== 2) return refuse(id, `it has ${parts.length} parts`);
  for (const part of parts) {
    // A double dash separates org and name in the cache, so that no registry has it inside a name.
    if (!partPattern.test(part) || part.includes('..') || part.includes('--') || part.endsWith('.'))
      return refuse(id, `'${part.slice(0, 100)}' is no name in a registry`);
  }
  return { scheme, repository };
}

/** The one spelling of an id: the default scheme is not written. Ids that name no source stay as they are. */
export const canonicalModelId = (id: string, defaultScheme: string): string =>
  id.startsWith(`${defaultScheme}:`) ? id.slice(defaultScheme.length + 1) : id;

/** The canonical spelling of a parsed id. */
export const formatSourceId = ({ scheme, repository }: SourceId, defaultScheme: string): string =>
  scheme === defaultScheme ? repository : `${scheme}:${repository}`;

/** Whether an id could name a repository; what is refused as an id never could. */
export function isSourceId(id: string, defaultScheme: string): boolean {
  try {
    parseSourceId(id, defaultScheme);
    return true;
  } catch (error) {
    if (CortexError.isInstance(error) && error.code === 'model_id_invalid') return false;
    throw error;
  }
}
