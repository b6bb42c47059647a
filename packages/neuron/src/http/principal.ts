import type { IncomingMessage } from 'node:http';

/** Who a request is from, as a gateway stamped it: `account/key`; null when either is missing. */
export function principalOf({ headers }: Pick<IncomingMessage, 'headers'>): string | null {
  const account = headers['x-helexa-account-id'];
  const key = headers['x-helexa-key-id'];
  return account && key ? `${String(account)}/${String(key)}` : null;
}
