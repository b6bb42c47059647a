import { timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { bearerIn, CortexError, type GatewayConfig, sha256 } from '@helexa/core';

/** On whose behalf a request is made. */
export interface Principal {
  readonly accountId: string;
  readonly keyId: string;
  readonly isAdmin: boolean;
  /** All models when empty. */
  readonly allowedModels: readonly string[];
  readonly hardCap: number | undefined;
  /** Length of the window; absent for a balance. */
  readonly windowSeconds: number | undefined;
  readonly requestsPerMinute: number | undefined;
}

type Entitlements = GatewayConfig['entitlements'];

/** What stands before a key of which only the hash is given. */
const hashMark = 'sha256:';

/** The key of a request: a bearer token, or the header that clients of Anthropic send. */
const keyIn = (headers: IncomingHttpHeaders): string | undefined => {
  const bearer = bearerIn(headers.authorization);
  if (bearer) return bearer;
  const own = headers['x-api-key'];
  return typeof own === 'string' && own !== '' ? own : undefined;
};

interface Entry {
  readonly hash: Buffer;
  readonly principal: Principal;
}

/** Knows keys by their hashes only. */
export class KeyRing {
  /** Everyone it knows, in the order of the configuration. */
  readonly principals: readonly Principal[];
  readonly #byHash: ReadonlyMap<string, Entry>;
  readonly #requireAuth: boolean;

  constructor({ require_auth: requireAuth, keys }: Entitlements) {
    this.#requireAuth = requireAuth;
    const entries = keys.map((entry) => ({
      hash: entry.key.startsWith(hashMark) ? Buffer.from(entry.key.slice(hashMark.length), 'hex') : sha256(entry.key),
      principal: {
        accountId: entry.account_id,
        keyId: entry.key_id ?? entry.account_id,
        isAdmin: entry.admin,
        allowedModels: entry.allowed_models,
        hardCap: entry.hard_cap,
        windowSeconds: entry.window.kind === 'rolling' ? entry.window.seconds : undefined,
        requestsPerMinute: entry.requests_per_minute,
      },
    }));
    this.#byHash = new Map(entries.map((entry) => [entry.hash.toString('latin1'), entry]));
    this.principals = entries.map(({ principal }) => principal);
  }

  get size(): number {
    return this.principals.length;
  }

  /** Finds a key by its hash, of which no guess of a key tells a part in advance; the comparison takes as long for every one. */
  #find(key: string): Principal | undefined {
    const hash = sha256(key);
    const entry = this.#byHash.get(hash.toString('latin1'));
    return entry && timingSafeEqual(entry.hash, hash) ? entry.principal : undefined;
  }

  /** Who makes a request; undefined for nobody in particular. Throws when somebody has to be named. */
  resolve(headers: IncomingHttpHeaders): Principal | undefined {
    const key = keyIn(headers);
    const principal = key === undefined ? undefined : this.#find(key);
    if (principal || !this.#requireAuth) return principal;
    const reason = key === undefined ? 'it has no key; a bearer token is wanted' : 'its key is not known';
    throw new CortexError('invalid_api_key', { reason });
  }

  /** Whoever makes a request of the admin routes; throws without an admin key, whatever else is open. */
  resolveAdmin(headers: IncomingHttpHeaders): Principal {
    const key = keyIn(headers);
    const principal = key === undefined ? undefined : this.#find(key);
    if (!principal) throw new CortexError('invalid_api_key', { reason: 'an admin key is wanted' });
    if (!principal.isAdmin) throw new CortexError('key_not_allowed', { what: 'the admin routes' });
    return principal;
  }
}

/** Whether a key is for a model; `asked` and `model` differ by an alias. */
export const isAllowed = (principal: Principal | undefined, asked: string, model: string): boolean => {
  if (!principal) return true;
  const { isAdmin, allowedModels } = principal;
  return !isAdmin && (allowedModels.length === 0 || allowedModels.includes(asked) || allowedModels.includes(model));
};

/** Refuses a key that is for something else; `asked` and `model` differ by an alias. */
export const checkScope = (principal: Principal | undefined, asked: string, model: string): void => {
  if (isAllowed(principal, asked, model)) return;
  throw new CortexError('key_not_allowed', { what: principal?.isAdmin ? 'models' : `model '${asked}'` });
};
