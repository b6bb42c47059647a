import { type Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';

/** When a client gives up: never, with half of its body sent, so long after its request, or after so many events (and a pause). */
export type Fate =
  | { readonly kind: 'reads' }
  | { readonly kind: 'half-body' }
  | { readonly kind: 'after-ms'; readonly delayMs: number }
  | { readonly kind: 'after-events'; readonly events: number; readonly pauseMs: number };

/** How a request ended, as its client saw it. `failed` and `hung` must not happen. */
export type Outcome =
  | { readonly kind: 'served' | 'left' | 'hung'; readonly ms: number }
  | { readonly kind: 'rejected' | 'failed'; readonly ms: number; readonly what: string };

export interface Question {
  readonly url: string;
  readonly agent: Agent;
  readonly body: Readonly<Record<string, unknown>>;
  readonly principal: string | null;
  readonly fate: Fate;
  /** A request without an end by then counts as hung. */
  readonly deadlineMs: number;
}

/** Sends one chat request and follows it to its end, or to where its client leaves. */
export async function ask(question: Question): Promise<Outcome> {
  const startedMs = performance.now();
  const outcome = await attempt(question, startedMs);
  // A server may close a kept connection at the very moment that it is used again: the request never arrived.
  return outcome === 'not sent' ? await ask(question) : outcome;
}

function attempt(question: Question, startedMs: number): Promise<Outcome | 'not sent'> {
  const { url, agent, body, principal, fate, deadlineMs } = question;
  const bytes = Buffer.from(JSON.stringify(body));
  return new Promise((resolve) => {
    const timers: NodeJS.Timeout[] = [];
    const request = httpRequest(`${url}/v1/chat/completions`, {
      agent,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'content-length': bytes.length,
        ...(principal === null ? {} : { 'x-helexa-account-id': principal, 'x-helexa-key-id': 'soak' }),
      },
    });
    const end = (kind: Outcome['kind'], what = ''): void => {
      for (const timer of timers) clearTimeout(timer);
      if (kind === 'left' || kind === 'hung') request.destroy();
      resolve({ kind, ms: performance.now() - startedMs, what } as Outcome);
    };
    timers.push(setTimeout(() => end('hung'), deadlineMs));
    // A client that has left hears nothing more; `resolve` takes the first outcome only.
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (request.reusedSocket && error.code === 'ECONNRESET') resolve('not sent');
      end('failed', error.message);
    });
    request.on('response', (response) => follow(request, response, fate, end, timers));
    if (fate.kind === 'half-body') {
      request.write(bytes.subarray(0, bytes.length / 2), () => end('left'));
      return;
    }
    if (fate.kind === 'after-ms') timers.push(setTimeout(() => end('left'), fate.delayMs));
    request.end(bytes);
  });
}

function follow(
  request: ClientRequest,
  response: IncomingMessage,
  fate: Fate,
  end: (kind: Outcome['kind'], what?: string) => void,
  timers: NodeJS.Timeout[],
): void {
  let text = '';
  let events = 0;
  response.setEncoding('utf8');
  response.on('error', () => end('failed', 'the connection was cut'));
  response.on('data', (chunk: string) => {
    text += chunk;
    events += chunk.split('\n\n').length - 1;
    if (fate.kind !== 'after-events' || events < fate.events) return;
    response.pause();
    timers.push(setTimeout(() => end('left'), fate.pauseMs));
  });
  response.on('end', () => {
    const isBusy = text.includes('rate_limit_exceeded') || text.includes('insufficient_vram');
    const status = response.statusCode ?? 0;
    if (isBusy && (status === 200 || response.headers['retry-after'])) end('rejected', String(status));
    else if (status !== 200) end('failed', `${status} ${text.slice(0, 200)}`);
    else if (isWhole(text)) end('served');
    else end('failed', `no proper end: ${text.slice(-200)}`);
  });
  request.on('close', () => {
    if (!response.complete) end('failed', 'the connection was closed');
  });
}

/** A stream ends with its mark after every choice has finished; a whole answer says why each has. */
const isWhole = (text: string): boolean =>
  /"finish_reason":"(stop|length|tool_calls)"/.test(text) &&
  (!text.startsWith('data:') || text.endsWith('data: [DONE]\n\n'));
