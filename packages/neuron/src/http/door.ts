import { createSecureContext } from 'node:tls';
import {
  bearerIn,
  CortexError,
  isLoopback,
  isSameSecret,
  type NeuronConfig,
  parseAddress,
  readNamedFile,
  readSecret,
} from '@helexa/core';

/** Who may come in, and how they are spoken to. */
export interface Door {
  /** Absent: everyone who reaches the address. */
  readonly token?: string | undefined;
  /** Absent: plain HTTP. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer } | undefined;
}

/** Reads what the configuration says of the door; refuses one that is open to other hosts without a token. */
export async function readDoor(config: NeuronConfig): Promise<Door> {
  const { listen, tls_cert: certFile, tls_key: keyFile, allow_unauthenticated: isOpen } = config;
  const token = await readSecret(config);
  const address = parseAddress(listen);
  if (token === undefined && !isOpen && address && !isLoopback(address.host)) {
    throw new CortexError('listen_without_keys', { address: listen, setting: 'listen' });
  }
  if ((certFile === undefined) !== (keyFile === undefined)) {
    const reason = "'tls_cert' and 'tls_key' are wanted together";
    throw new CortexError('config_invalid', { where: 'neuron.toml', reason });
  }
  if (certFile === undefined || keyFile === undefined) return { token };
  const tls = { cert: await readNamedFile(certFile), key: await readNamedFile(keyFile) };
  try {
    createSecureContext(tls);
  } catch (cause) {
    const reason = `it is no certificate for the key '${keyFile}'`;
    throw new CortexError('config_invalid', { where: certFile, reason }, { cause });
  }
  return { token, tls };
}

/** Refuses a request without the token of the neuron. */
export function checkToken({ token }: Door, authorization: string | undefined): void {
  if (token === undefined || isSameSecret(bearerIn(authorization) ?? '', token)) return;
  throw new CortexError('invalid_api_key', { reason: 'the token of this neuron is wanted' });
}
