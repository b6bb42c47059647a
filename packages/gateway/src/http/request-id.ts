const pattern = /^[\x21-\x7e]{1,128}$/;

/** The same text in one piece: one that was put together of many keeps them all for as long as its request lives. */
const flat = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');

/** The id of a request: the client's own when it is plain text, else a new one. */
export const requestIdOf = (header: string | string[] | undefined, makeId: () => string): string =>
  typeof header === 'string' && pattern.test(header) ? header : flat(makeId());
