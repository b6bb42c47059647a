/** What a key has used in its window so far. */
export interface KeptAccount {
  readonly keyId: string;
  readonly spent: number;
  /** Start of the window, in milliseconds since 1970. */
  readonly windowStartMs: number;
}

/** A request that was under way. */
export interface KeptReservation {
  readonly id: string;
  readonly keyId: string;
  readonly least: number;
}

/** One change of the ledger: kept as a whole or not at all. */
export interface LedgerChange {
  readonly accounts: readonly KeptAccount[];
  readonly opened: readonly KeptReservation[];
  /** Ids of reservations that are over. */
  readonly closed: readonly string[];
}

/** Where a ledger outlives the process. Owner: the ledger. */
export interface LedgerStore {
  open(): Promise<Omit<LedgerChange, 'opened' | 'closed'> & { readonly reservations: readonly KeptReservation[] }>;
  write(change: LedgerChange): Promise<void>;
  close(): Promise<void>;
}
