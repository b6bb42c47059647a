import type { Principal } from '../keys/key-ring.js';
import type { Ledger } from '../ledger/ledger.js';

/** What a key may use and has used, for `GET /admin/keys`; the key and its hash stay here. */
export const describeKey = async (principal: Principal, ledger: Ledger) => {
  const { keyId, accountId, isAdmin, allowedModels, hardCap, windowSeconds, requestsPerMinute } = principal;
  const { spent, reserved, windowStartMs } = await ledger.usage(principal);
  return {
    key_id: keyId,
    account_id: accountId,
    admin: isAdmin,
    allowed_models: allowedModels,
    hard_cap: hardCap ?? null,
    window_seconds: windowSeconds ?? null,
    requests_per_minute: requestsPerMinute ?? null,
    spent,
    reserved,
    window_started_at: new Date(windowStartMs).toISOString(),
  };
};
