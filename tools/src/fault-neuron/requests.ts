import type { LoadJobView } from '@helexa/core';
import type { DaemonProcess } from './daemon-process.js';

/** An answer in short: its status and the code of its error, or its text. */
export interface Answer {
  readonly status: number;
  readonly code: string | null;
  readonly text: string;
}

interface Body {
  readonly error?: { readonly code?: string; readonly kind?: string };
  readonly choices?: readonly { readonly text?: string }[];
}

const headers = { 'content-type': 'application/json', connection: 'close' };
const read = (text: string): Body => {
  try {
    return JSON.parse(text) as Body;
  } catch {
    return {};
  }
};

export async function post(url: string, path: string, body: unknown): Promise<Answer> {
  const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
  const text = await response.text();
  const { error, choices } = read(text);
  return { status: response.status, code: error?.kind ?? error?.code ?? null, text: choices?.[0]?.text ?? '' };
}

export const get = async <Result>(url: string, path: string): Promise<Result> =>
  (await (await fetch(url + path, { headers: { connection: 'close' } })).json()) as Result;

export const load = (url: string, model: string): Promise<Answer> => post(url, '/models/load', { model_id: model });

/** A short greedy answer: the same for every neuron that is well. */
export const ask = (url: string, model: string): Promise<Answer> =>
  post(url, '/v1/completions', { model, prompt: 'The cortex', max_tokens: 8, temperature: 0 });

/** Reads a stream; `onEvent` sees the number of events so far. Gives how it ended. */
export async function stream(
  url: string,
  body: Record<string, unknown>,
  onEvent: (events: number) => void,
): Promise<'done' | 'cut' | string> {
  try {
    const response = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ ...body, stream: true }),
    });
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      onEvent(text.split('\n\n').length - 1);
    }
    const last =
      text
        .split('\n\n')
        .filter((frame) => frame.startsWith('data: '))
        .at(-1)
        ?.slice(6) ?? text;
    return last === '[DONE]' ? 'done' : (read(last).error?.code ?? 'cut');
  } catch {
    return 'cut';
  }
}

/** Follows a load until one of its events satisfies; false when it ends first. */
export async function followLoad(
  url: string,
  model: string,
  isEnough: (job: LoadJobView) => boolean,
): Promise<boolean> {
  const response = await fetch(`${url}/models/load`, {
    method: 'POST',
    headers: { ...headers, accept: 'text/event-stream' },
    body: JSON.stringify({ model_id: model }),
  });
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    const frames = text.split('\n\n');
    text = frames.pop() ?? '';
    for (const frame of frames) {
      const data = frame.slice('data: '.length);
      if (frame.startsWith('data: {"id"') && isEnough(JSON.parse(data) as LoadJobView)) return true;
    }
  }
  return false;
}

/** Looks at a load as often as it can until a look satisfies; false when it ends first. Events of a load come less often. */
export async function watchLoad(url: string, model: string, isEnough: (job: LoadJobView) => boolean): Promise<boolean> {
  await post(url, '/models/load', { model_id: model, wait: false });
  for (;;) {
    const [job] = (await get<{ jobs: readonly LoadJobView[] }>(url, '/jobs')).jobs;
    if (job?.state !== 'running') return false;
    if (isEnough(job)) return true;
  }
}

interface Health {
  readonly models: readonly {
    readonly in_flight: number;
    readonly queue_depth: number;
    readonly kv_pages: { readonly used: number; readonly reserved: number };
  }[];
}

/** Requests and pages that a neuron still holds. */
export async function heldBy({ url }: DaemonProcess): Promise<number> {
  const { models } = await get<Health>(url, '/health');
  return models.reduce(
    (sum, { in_flight: running, queue_depth: waiting, kv_pages: pages }) =>
      sum + running + waiting + pages.used + pages.reserved,
    0,
  );
}
