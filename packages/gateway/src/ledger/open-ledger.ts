import { type Clock, CortexError, type GatewayConfig } from '@helexa/core';
import type { Ledger } from './ledger.js';
import { LocalLedger } from './local-ledger.js';
import { RedisLedger, type RedisLibrary } from './redis-ledger.js';
import { sqliteStore } from './sqlite-store.js';

export interface LedgerOptions {
  readonly clock: Clock;
  readonly makeId: () => string;
  readonly onError: (error: unknown) => void;
}

/** Loads a library that only one setting needs. */
export const optionalLibrary = async <Library>(name: string, load: () => Promise<Library>): Promise<Library> => {
  try {
    return await load();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new CortexError('library_missing', { library: name, setting: 'entitlements.ledger' }, { cause });
  }
};

/** The ledger that the configuration names; the libraries of the others are not loaded. Owner: the gateway. */
export const createLedger = (config: GatewayConfig['entitlements']['ledger'], options: LedgerOptions): Ledger => {
  switch (config.kind) {
    case 'memory':
      return new LocalLedger(options);
    case 'sqlite':
      return new LocalLedger({ ...options, store: sqliteStore({ file: config.file }) });
    case 'redis': {
      const library = () => optionalLibrary('ioredis', () => import('ioredis') as Promise<RedisLibrary>);
      return new RedisLedger({ ...options, url: config.url, prefix: config.prefix, library });
    }
  }
};
