import type { Engine } from '../engine/engine.js';
import { unreadRequest } from '../engine/unread-request.js';

/** A token that every vocabulary has. */
const anyToken = 0;

/**
 * Runs one short generation, a prompt and a step behind it: a device that cannot compute this model fails its load, and not the
 * first request.
 */
export async function warmUp(engine: Engine, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const request = unreadRequest({ principal: 'warm-up', prompt: [anyToken], maxTokens: 2, signal });
  try {
    for await (const _ of engine.generate(request));
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
