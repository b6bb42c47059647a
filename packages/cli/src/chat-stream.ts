import { CortexError, SseDecoder } from '@helexa/core';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly maxTokens?: number;
  readonly temperature?: number;
  /** Sent as a bearer token. */
  readonly key?: string | undefined;
}

interface Chunk {
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string | null; readonly reasoning_content?: string | null };
  }[];
  readonly error?: { readonly message?: string };
}

/** A piece of an answer: what the model thinks, or what it says. */
export interface Piece {
  readonly kind: 'reasoning' | 'content';
  readonly text: string;
}

const reasonOf = async (response: Response): Promise<string> => {
  const text = await response.text();
  try {
    const body = JSON.parse(text) as { error?: { message?: string } };
    return body.error?.message ?? text;
  } catch {
    return text;
  }
};

/** Asks an OpenAI compatible server and yields the answer piece by piece. */
export async function* streamChat(base: string, request: ChatRequest, signal?: AbortSignal): AsyncGenerator<Piece> {
  const url = `${base}/v1/chat/completions`;
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(request.key === undefined ? {} : { authorization: `Bearer ${request.key}` }),
    },
    body: JSON.stringify({
      model: request.model,
      messages: request.messages,
      stream: true,
      ...(request.maxTokens === undefined ? {} : { max_tokens: request.maxTokens }),
      ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    }),
    ...(signal ? { signal } : {}),
  }).catch((error: Error) => {
    if (signal?.aborted) throw error;
    throw new CortexError(
      'endpoint_unreachable',
      { what: 'the gateway', url: base, reason: causeOf(error) },
      { cause: error },
    );
  });
  if (!response.ok || !response.body)
    throw new CortexError('request_refused', { url, status: response.status, reason: await reasonOf(response) });
  const decoder = new SseDecoder();
  for await (const bytes of response.body) {
    for (const event of decoder.push(bytes)) {
      if (event.data === '[DONE]') return;
      const chunk = JSON.parse(event.data) as Chunk;
      if (chunk.error)
        throw new CortexError('request_refused', { url, status: 200, reason: chunk.error.message ?? event.data });
      const delta = chunk.choices?.[0]?.delta;
      if (delta?.reasoning_content) yield { kind: 'reasoning', text: delta.reasoning_content };
      if (delta?.content) yield { kind: 'content', text: delta.content };
    }
  }
  throw new CortexError('request_refused', { url, status: 200, reason: 'the stream ended before it was done' });
}

/** The innermost reason of a failed fetch: `fetch failed` alone says nothing. */
export function causeOf(error: Error): string {
  const cause = error.cause;
  return cause instanceof Error
    ? causeOf(cause) || ((cause as NodeJS.ErrnoException).code ?? error.message)
    : error.message;
}
