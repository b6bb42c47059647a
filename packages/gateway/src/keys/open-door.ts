import { CortexError, type GatewayConfig, isLoopback, parseAddress } from '@helexa/core';

/** Refuses to serve other hosts without asking for keys, unless the configuration says that this is wanted. */
export const refuseOpenDoor = ({ gateway, entitlements }: GatewayConfig): void => {
  const address = parseAddress(gateway.listen);
  const asksForKeys = entitlements.require_auth && entitlements.keys.length > 0;
  if (!address || isLoopback(address.host) || asksForKeys || gateway.allow_unauthenticated) return;
  throw new CortexError('listen_without_keys', { address: gateway.listen, setting: 'gateway.listen' });
};
