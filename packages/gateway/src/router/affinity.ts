import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Headers in which agents name their session. */
const sessionHeaders = ['x-session-affinity', 'x-session-id', 'session_id', 'x-claude-code-session-id'];
/** Enough of a conversation's beginning to tell it from others. */
const prefixBytes = 2048;

/**
 * What stays the same over the requests of one conversation: the session that its client names, else the beginning of its
 * body. A conversation grows at its end, so that its first bytes are those that a neuron has in its cache.
 */
export const affinityKey = (headers: IncomingHttpHeaders, model: string, body: Buffer): string => {
  const session = sessionHeaders
    .map((name) => headers[name])
    .find((value) => typeof value === 'string' && value !== '');
  const what = session ? `session\0${String(session)}` : body.toString('latin1', 0, prefixBytes);
  return hash('sha256', `${model}\0${what}`, 'base64url');
};

/** Where conversations were answered last; the ones that were silent longest are forgotten first. */
export class AffinityTable {
  readonly #nodes = new Map<string, string>();
  readonly #most: number;

  constructor(most = 10_000) {
    this.#most = most;
  }

  get(key: string): string | undefined {
    return this.#nodes.get(key);
  }

  set(key: string, node: string): void {
    this.#nodes.delete(key);
    this.#nodes.set(key, node);
    if (this.#nodes.size <= this.#most) return;
    for (const oldest of this.#nodes.keys()) {
      this.#nodes.delete(oldest);
      return;
    }
  }
}
