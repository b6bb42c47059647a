import type { IncomingMessage } from 'node:http';
import { CortexError, type GatewayConfig } from '@helexa/core';

export type CorsSettings = Pick<GatewayConfig['gateway'], 'cors_origins' | 'cors_credentials'>;

const preflightSeconds = 600;

/** What a page may read of an answer beside its body. */
const exposed =
  'x-request-id, request-id, retry-after, x-should-retry, server-timing, x-cortex-ignored, x-cortex-stripped';

export type CorsHeaders = Readonly<Record<string, string>>;

/** Whether the configuration lets the pages of an origin in. */
const isListed = ({ cors_origins: origins }: CorsSettings, origin: string): boolean =>
  origins.includes('*') || origins.includes(origin);

/** Headers that let the page that asks read the answer; none while no origin is configured. */
export const corsHeaders = (settings: CorsSettings, { headers }: IncomingMessage): CorsHeaders => {
  const { cors_origins: origins, cors_credentials: withCredentials } = settings;
  if (origins.length === 0) return {};
  // A cache must not show one page the answer that was made for another.
  const vary = { vary: 'origin' };
  const { origin } = headers;
  if (origin === undefined || !isListed(settings, origin)) return vary;
  const isForAll = origins.includes('*');
  return {
    ...(isForAll ? {} : vary),
    'access-control-allow-origin': isForAll ? '*' : origin,
    'access-control-expose-headers': exposed,
    ...(withCredentials ? { 'access-control-allow-credentials': 'true' } : {}),
  };
};

/** The answer to a browser that asks before it sends; undefined for a request that does not ask. It carries no key. */
export const preflightHeaders = (
  settings: CorsSettings,
  { method, headers }: IncomingMessage,
  allowed: readonly string[],
): CorsHeaders | undefined => {
  const { origin } = headers;
  if (method !== 'OPTIONS' || origin === undefined || headers['access-control-request-method'] === undefined) {
    return undefined;
  }
  if (!isListed(settings, origin)) return undefined;
  const asked = headers['access-control-request-headers'];
  return {
    'access-control-allow-methods': allowed.join(', '),
    ...(typeof asked === 'string' ? { 'access-control-allow-headers': asked } : {}),
    'access-control-max-age': String(preflightSeconds),
  };
};

/**
 * Refuses what any page on the web could send here without asking first: a body that does not say that it is JSON. A page that
 * says so has to ask, and is let in only by the configuration.
 */
export const refuseBlindPost = (settings: CorsSettings, { method, headers }: IncomingMessage): void => {
  const { origin } = headers;
  if (method !== 'POST' || origin === undefined || headers['content-type'] !== undefined) return;
  if (isListed(settings, origin)) return;
  throw new CortexError('unsupported_media_type', { mediaType: 'none', wanted: 'application/json' });
};
