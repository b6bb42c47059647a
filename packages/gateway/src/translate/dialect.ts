import type { IncomingHttpHeaders } from 'node:http';

/** In whose words errors and listings are said. */
export type Dialect = 'openai' | 'anthropic';

/** The dialect of a request: its path tells, else the header that only clients of Anthropic send. */
export const dialectOf = (path: string, headers: IncomingHttpHeaders): Dialect => {
  if (path === '/v1/messages' || path.startsWith('/v1/messages/')) return 'anthropic';
  const isShared = !/^\/v1\/(?:chat\/completions|completions|embeddings|responses)(?:\/|$)/.test(path);
  return isShared && headers['anthropic-version'] !== undefined ? 'anthropic' : 'openai';
};
