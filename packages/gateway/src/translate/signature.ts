import { createHash } from 'node:crypto';

const prefix = 'cortex1.';

/** A mark by which the gateway knows its own thoughts again when a client sends them back; the same on every gateway. */
export const signThoughts = (text: string): string => prefix + createHash('sha256').update(text).digest('base64url');

/** Whether these thoughts are ours and unchanged; those of other services mean nothing to our models. */
export const isOwnThought = (text: string, signature: string | null | undefined): boolean =>
  signature === signThoughts(text);
