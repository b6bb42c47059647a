const pattern = /^[\x21-\x7e]{1,128}$/;

/** The id of a request: the client's own when it is plain text, else a new one. */
export const requestIdOf = (header: string | string[] | undefined, makeId: () => string): string =>
  typeof header === 'string' && pattern.test(header) ? header : makeId();
