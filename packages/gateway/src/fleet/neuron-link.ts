import { type GatewayConfig, readNamedFile, readSecret } from '@helexa/core';
import { Agent, type Dispatcher, Pool } from 'undici';
import { FleetDispatcher } from '../upstream/fleet-dispatcher.js';
import { baseOf } from './base-of.js';

type NeuronEntry = GatewayConfig['neurons'][number];

/** How one server is spoken to. */
export interface NeuronLink {
  /** As the fleet knows it. */
  readonly endpoint: string;
  readonly origin: string;
  /** Stands before every path. */
  readonly prefix: string;
  readonly token: string | undefined;
  /** PEM of what its certificate is checked against; what the system trusts when absent. */
  readonly ca: string | undefined;
  /** It belongs to somebody else: who asks is not its business. */
  readonly isForeign: boolean;
}

/** What the configuration says of the way to each server; its files are read here. */
export const readLinks = (neurons: readonly NeuronEntry[]): Promise<readonly NeuronLink[]> =>
  Promise.all(
    neurons.map(async (entry) => {
      const { base, origin, prefix } = baseOf(entry.endpoint);
      return {
        endpoint: base,
        origin,
        prefix,
        token: await readSecret(entry),
        ca: entry.ca === undefined ? undefined : String(await readNamedFile(entry.ca)),
        isForeign: entry.kind === 'openai',
      };
    }),
  );

const ownHeaders = new Set(['x-helexa-account-id', 'x-helexa-key-id']);

const headersFor = ({ token, isForeign }: NeuronLink, headers: Dispatcher.DispatchOptions['headers']) => {
  const given = Object.entries((headers ?? {}) as Record<string, string | string[]>);
  const kept = isForeign ? given.filter(([name]) => !ownHeaders.has(name)) : given;
  return { ...Object.fromEntries(kept), ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
};

const isPlain = ({ token, prefix, isForeign }: NeuronLink): boolean =>
  token === undefined && prefix === '' && !isForeign;

/** Connections to the fleet: each server gets its token, its path and its check of the certificate. Owner: the gateway. */
export const openLinks = (
  links: readonly NeuronLink[],
  { connectTimeoutMs }: { readonly connectTimeoutMs: number },
): Dispatcher => {
  const authorities = new Map(links.flatMap(({ origin, ca }) => (ca === undefined ? [] : [[origin, ca] as const])));
  const agent = new Agent({
    allowH2: false,
    factory: (origin, options) => {
      const ca = authorities.get(new URL(origin).origin);
      return new Pool(origin, { ...options, connect: { timeout: connectTimeoutMs, ...(ca ? { ca } : {}) } });
    },
  });
  // The longest path first: of two servers behind one address the one that is meant.
  const special = links.filter((link) => !isPlain(link)).sort((a, b) => b.prefix.length - a.prefix.length);
  const byEndpoint = new Map(special.map((link) => [link.endpoint, link]));
  const find = (asked: string, path: string): NeuronLink | undefined =>
    special.find(({ origin, prefix }) => origin === asked && path.startsWith(`${prefix}/`));
  const rewrite = (options: Dispatcher.DispatchOptions): Dispatcher.DispatchOptions => {
    const asked = String(options.origin);
    const named = byEndpoint.get(asked);
    const path = named ? named.prefix + options.path : options.path;
    const link = named ?? find(asked, path);
    if (!link) return options;
    return { ...options, origin: link.origin, path, headers: headersFor(link, options.headers) };
  };
  return new FleetDispatcher(agent, { connectTimeoutMs, ...(special.length > 0 ? { rewrite } : {}) });
};
