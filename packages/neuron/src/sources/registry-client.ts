import type { Readable } from 'node:stream';
import { type Clock, CortexError } from '@helexa/core';
import { type Dispatcher, request } from 'undici';
import { z } from 'zod';
import type { Registry } from './registries.js';
import { isSafeFileName, parseHash, type RepositoryFile, type RepositoryListing } from './repository-file.js';
import { parseRetryAfter, pauseMs, sleep } from './retry.js';

/** How the registry is reached; tests give a clock that stands still. */
export interface RegistryAccess {
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Longest silence of the other side, before and inside an answer. */
  readonly idleTimeoutMs: number;
}

/** An answer whose status was accepted. Whoever has it reads or destroys the body. */
export interface RegistryAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Readable;
}

interface Ask {
  readonly method: 'GET' | 'HEAD';
  readonly url: string;
  readonly file?: string | undefined;
  readonly range?: string | undefined;
  /** Statuses that are answers; others are refusals. */
  readonly accept: readonly number[];
  readonly signal?: AbortSignal | undefined;
}

const mostRedirects = 5;
const mostListingBytes = 64 * 2 ** 20;
const passingStatuses = new Set([408, 425, 429, 500, 502, 503, 504]);

const listingSchema = z.object({
  sha: z.string().regex(/^[0-9a-f]{40,64}$/),
  siblings: z.array(
    z.object({
      rfilename: z.string(),
      size: z.int().min(0).nullish(),
      blobId: z.string().nullish(),
      lfs: z.object({ sha256: z.string().nullish(), size: z.int().min(0).nullish() }).nullish(),
    }),
  ),
});

/** Thrown inside for what may pass; never leaves this package. */
export class PassingFailure extends Error {
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs?: number, cause?: unknown) {
    super(message, { cause });
    this.retryAfterMs = retryAfterMs;
  }
}

/** Reads one repository of a registry over HTTP. */
export class RegistryClient {
  readonly #registry: Registry;
  readonly #model: string;
  readonly #repository: string;
  readonly #access: RegistryAccess;

  /** `model` is the id for messages, `repository` what the registry calls it. */
  constructor(registry: Registry, model: string, repository: string, access: RegistryAccess) {
    this.#registry = registry;
    this.#model = model;
    this.#repository = repository;
    this.#access = access;
  }

  /** The files of a revision. `attempts` bounds how often a passing failure is tried. */
  async listing(revision: string, attempts: number, signal?: AbortSignal): Promise<RepositoryListing> {
    return await this.retry(attempts, undefined, signal, async () => {
      const url = `${this.#base}/api/models/${this.#repository}/revision/${encodeURIComponent(revision)}?blobs=true`;
      const answer = await this.#ask({ method: 'GET', url, accept: [200], signal });
      const parsed = listingSchema.safeParse(parseJson(await this.#text(answer.body)));
      if (!parsed.success) throw this.failed(`the listing is not one: ${parsed.error.issues[0]?.message}`);
      const files = parsed.data.siblings.map((sibling): RepositoryFile => {
        const { rfilename: name, size, blobId, lfs } = sibling;
        if (!isSafeFileName(name)) throw this.failed(`the listing has the file name ${JSON.stringify(name)}`);
        return { name, bytes: lfs?.size ?? size ?? null, hash: parseHash(lfs?.sha256 ?? blobId ?? '') };
      });
      const twice = files.find(({ name }, index) => files.findIndex((other) => other.name === name) !== index);
      if (twice) throw this.failed(`the listing has the file '${twice.name}' twice`);
      return { commit: parsed.data.sha, files };
    });
  }

  /** Length and hash of a file, for listings that do not have them. */
  async describe(commit: string, file: RepositoryFile, signal?: AbortSignal): Promise<RepositoryFile> {
    if (file.bytes !== null && file.hash !== null) return file;
    return await this.retry(5, file.name, signal, async () => {
      const url = this.#fileUrl(commit, file.name);
      const answer = await this.#ask({ method: 'HEAD', url, file: file.name, accept: [200], signal });
      answer.body.destroy();
      const { headers } = answer;
      const length = Number(headers['x-linked-size'] ?? headers['content-length'] ?? Number.NaN);
      const etag = (headers['x-linked-etag'] ?? headers['etag'] ?? '').replace(/^W\//, '').replaceAll('"', '');
      return {
        name: file.name,
        bytes: file.bytes ?? (Number.isSafeInteger(length) ? length : null),
        hash: file.hash ?? parseHash(etag),
      };
    });
  }

  /** Opens a file from byte `begin` on: status 200 means from its first byte, 416 that there is nothing behind `begin`. */
  async open(commit: string, file: string, begin: number, signal?: AbortSignal): Promise<RegistryAnswer> {
    return await this.#ask({
      method: 'GET',
      url: this.#fileUrl(commit, file),
      file,
      range: begin === 0 ? undefined : `bytes=${begin}-`,
      accept: begin === 0 ? [200] : [200, 206, 416],
      signal,
    });
  }

  /** The bytes of a range, end exclusive. */
  async range(commit: string, file: string, begin: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    if (begin === end) return new Uint8Array();
    return await this.retry(5, file, signal, async () => {
      const range = `bytes=${begin}-${end - 1}`;
      const url = this.#fileUrl(commit, file);
      const answer = await this.#ask({ method: 'GET', url, file, range, accept: [200, 206], signal });
      if (answer.status !== 206) {
        // The whole file, weights and all, is never what was asked for.
        answer.body.destroy();
        throw this.failed('the registry gives no ranges of a file', file);
      }
      const bytes = new Uint8Array(end - begin);
      let filled = 0;
      try {
        for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
          if (filled + chunk.length > bytes.length) throw this.failed('a range was answered with more bytes', file);
          bytes.set(chunk, filled);
          filled += chunk.length;
        }
      } catch (error) {
        throw passing(error, signal);
      }
      if (filled < bytes.length) throw new PassingFailure(`a range ended after ${filled} of ${bytes.length} bytes`);
      return bytes;
    });
  }

  /** Runs `attempt` until it succeeds, fails for good, or has failed `attempts` times. */
  async retry<Result>(
    attempts: number,
    file: string | undefined,
    signal: AbortSignal | undefined,
    attempt: () => Promise<Result>,
  ): Promise<Result> {
    for (let count = 1; ; count++) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof PassingFailure)) throw error;
        if (count >= attempts) throw this.failed(error.message, file, error);
        await this.pause(count, error, signal);
      }
    }
  }

  async pause(count: number, failure: PassingFailure, signal?: AbortSignal): Promise<void> {
    const { clock, random } = this.#access;
    await sleep(clock, pauseMs(count, random(), failure.retryAfterMs), signal);
  }

  failed(cause: string, file?: string, error?: unknown): CortexError {
    const details = { model: this.#model, cause, ...(file === undefined ? {} : { file }) };
    return new CortexError('repo_fetch_failed', details, { cause: error });
  }

  get #base(): string {
    return this.#registry.endpoint.replace(/\/+$/, '');
  }

  #fileUrl(commit: string, file: string): string {
    return `${this.#base}/${this.#repository}/resolve/${commit}/${file.split('/').map(encodeURIComponent).join('/')}`;
  }

  /** One request, its redirects followed; the token goes to the registry's own origin and to no other. */
  async #ask(ask: Ask): Promise<RegistryAnswer> {
    const own = new URL(this.#base).origin;
    let url = new URL(ask.url);
    for (let redirects = 0; ; redirects++) {
      const answer = await this.#send(url, ask, url.origin === own);
      const { location } = answer.headers;
      if (answer.status < 300 || answer.status >= 400 || location === undefined) return await this.#judge(answer, ask);
      // A description stands in the first answer; the storage behind it knows less.
      if (ask.method === 'HEAD' && answer.headers['x-linked-etag'] !== undefined) return { ...answer, status: 200 };
      answer.body.resume();
      const next = URL.canParse(location, url.href) ? new URL(location, url.href) : null;
      if (!next || !/^https?:$/.test(next.protocol)) throw this.failed('it redirects to no HTTP address', ask.file);
      if (url.protocol === 'https:' && next.protocol === 'http:')
        throw this.failed('it redirects from HTTPS to HTTP', ask.file);
      if (redirects >= mostRedirects) throw this.failed(`it redirects more than ${mostRedirects} times`, ask.file);
      url = next;
    }
  }

  async #send(url: URL, ask: Ask, isOwn: boolean): Promise<RegistryAnswer> {
    const { dispatcher, idleTimeoutMs } = this.#access;
    const { token } = this.#registry;
    try {
      const { statusCode, headers, body } = await request(url, {
        method: ask.method,
        dispatcher,
        headersTimeout: idleTimeoutMs,
        bodyTimeout: idleTimeoutMs,
        signal: ask.signal ?? null,
        headers: {
          'user-agent': 'cortex',
          // A compressed answer would have another length than the file.
          'accept-encoding': 'identity',
          ...(ask.range === undefined ? {} : { range: ask.range }),
          ...(token !== null && isOwn ? { authorization: `Bearer ${token}` } : {}),
        },
      });
      // A body that is given up fails, and nobody reads it any more; a reader hears of a failure itself.
      body.on('error', () => {});
      const flat = Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]),
      );
      return { status: statusCode, headers: flat, body };
    } catch (error) {
      throw passing(error, ask.signal);
    }
  }

  async #judge(answer: RegistryAnswer, ask: Ask): Promise<RegistryAnswer> {
    const { status, headers } = answer;
    if (ask.accept.includes(status)) return answer;
    answer.body.destroy();
    const model = this.#model;
    const { endpoint, token } = this.#registry;
    const code = headers['x-error-code'];
    if (passingStatuses.has(status)) {
      const retryAfterMs = parseRetryAfter(headers['retry-after'], this.#access.clock.unixMs());
      throw new PassingFailure(`the registry answers with status ${status}`, retryAfterMs);
    }
    if (code === 'GatedRepo') throw new CortexError('repo_forbidden', { model, endpoint, isGated: true });
    if (code === 'RepoNotFound') throw new CortexError('repo_not_found', { model, endpoint });
    if (status === 401) throw new CortexError('repo_unauthorised', { model, endpoint, hasToken: token !== null });
    if (status === 403) throw new CortexError('repo_forbidden', { model, endpoint, isGated: false });
    if (status === 404 && ask.file === undefined) throw new CortexError('repo_not_found', { model, endpoint });
    throw this.failed(`the registry answers with status ${status}`, ask.file);
  }

  async #text(body: Readable): Promise<string> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    try {
      for await (const chunk of body as AsyncIterable<Uint8Array>) {
        bytes += chunk.length;
        if (bytes > mostListingBytes) throw this.failed(`the listing is longer than ${mostListingBytes} bytes`);
        chunks.push(chunk);
      }
    } catch (error) {
      throw passing(error);
    }
    return Buffer.concat(chunks).toString('utf8');
  }
}

/** What the transport threw, as something that may pass; our own errors and a caller's abort stay what they are. */
export function passing(error: unknown, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason;
  if (CortexError.isInstance(error) || error instanceof PassingFailure) return error;
  const { code, message } = error as { code?: string; message?: string };
  return new PassingFailure(`the connection failed (${code ?? message ?? String(error)})`, undefined, error);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
