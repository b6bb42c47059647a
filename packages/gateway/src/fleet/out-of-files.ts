const codes: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS']);

/** Whether a connection failed for want of something on this machine, and not for the other end. */
export const isOutOfFiles = (error: unknown): boolean => codes.has((error as { code?: unknown } | null)?.code);
