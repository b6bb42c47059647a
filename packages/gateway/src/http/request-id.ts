import { randomUUID } from 'node:crypto';

const pattern = /^[\x21-\x7e]{1,128}$/;

/** A random id in one piece: the one of the system is put together of many, and keeps them all for as long as a request lives. */
export const randomId = (): string => Buffer.from(randomUUID(), 'latin1').toString('latin1');

/** The id of a request: the client's own when it is plain text, else a new one. */
export const requestIdOf = (header: string | string[] | undefined, makeId: () => string): string =>
  typeof header === 'string' && pattern.test(header) ? header : makeId();
