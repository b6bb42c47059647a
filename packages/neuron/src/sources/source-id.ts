import { CortexError } from '@helexa/core';

/** The revision of an id that names none. */
export const mainRevision = 'main';

/** One revision of a repository of one registry. */
export interface SourceId {
  readonly scheme: string;
  /** `org/name`: all that the registry itself sees. */
  readonly repository: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

const partPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$/;
const revisionPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$/;
const schemePattern = /^[a-z][a-z0-9-]{1,30}$/;

const refuse = (id: string, reason: string): never => {
  throw new CortexError('model_id_invalid', { model: id.slice(0, 200), reason });
};

/** Parses `org/name`, perhaps as `scheme:org/name@revision`; refuses everything that no registry could have, a path above all. */
export function parseSourceId(id: string, defaultScheme: string): SourceId {
  const colon = id.indexOf(':');
  const scheme = colon === -1 ? defaultScheme : id.slice(0, colon);
  const [repository = '', ...revisions] = id.slice(colon + 1).split('@');
  const revision = revisions.length === 0 ? mainRevision : revisions.join('@');
  if (!schemePattern.test(scheme)) return refuse(id, `'${scheme.slice(0, 40)}' is no name of a source`);
  const parts = repository.split('/');
  if (parts.length !== 2) return refuse(id, `it has ${parts.length} parts`);
  for (const part of parts) {
    // A double dash separates org and name in the cache, so that no registry has it inside a name.
    if (!partPattern.test(part) || part.includes('..') || part.includes('--') || part.endsWith('.'))
      return refuse(id, `'${part.slice(0, 100)}' is no name in a registry`);
  }
  if (!revisionPattern.test(revision) || revision.includes('..'))
    return refuse(id, `'${revision.slice(0, 100)}' is no revision; a branch, a tag or a commit without '/' is wanted`);
  return { scheme, repository, revision };
}

/** The one spelling of an id: neither the default scheme nor the main revision is written. Other ids stay as they are. */
export function canonicalModelId(id: string, defaultScheme: string): string {
  const bare = id.startsWith(`${defaultScheme}:`) ? id.slice(defaultScheme.length + 1) : id;
  return bare.endsWith(`@${mainRevision}`) ? bare.slice(0, -mainRevision.length - 1) : bare;
}

/** The canonical spelling of a parsed id. */
export const formatSourceId = ({ scheme, repository, revision }: SourceId, defaultScheme: string): string =>
  `${scheme === defaultScheme ? '' : `${scheme}:`}${repository}${revision === mainRevision ? '' : `@${revision}`}`;

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
