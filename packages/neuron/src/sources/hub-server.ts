import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { CortexError } from '@helexa/core';
import { type Exchange, sendJson } from '../http/exchange.js';
import type { HubCache } from './hub-cache.js';
import type { ModelSources } from './model-sources.js';
import type { RepositoryFile } from './repository-file.js';
import { isSourceId } from './source-id.js';

interface Snapshot {
  readonly cache: HubCache;
  readonly commit: string;
  /** Only files whose hash is known: what cannot be verified is not lent. */
  readonly files: readonly RepositoryFile[];
}

/** Lends the cache of this neuron to others, in the protocol that it was fetched with. */
export class HubServer {
  readonly #sources: ModelSources;

  constructor(sources: ModelSources) {
    this.#sources = sources;
  }

  /** `GET /api/models/:org/:name` and the same with `/revision/:rev`. */
  async listing(exchange: Exchange): Promise<void> {
    const { commit, files } = await this.#snapshot(exchange);
    sendJson(exchange, 200, {
      id: `${exchange.params['org']}/${exchange.params['name']}`,
      sha: commit,
      siblings: files.map(({ name, bytes, hash }) => ({
        rfilename: name,
        size: bytes,
        ...(hash?.kind === 'sha256' ? { lfs: { sha256: hash.hex, size: bytes } } : { blobId: hash?.hex }),
      })),
    });
  }

  /** `GET /:org/:name/resolve/:rev/*file`: one file or one range of it. */
  async file(exchange: Exchange): Promise<void> {
    const { request, response, params } = exchange;
    const { cache, commit, files } = await this.#snapshot(exchange);
    // Only what the listing has can be named; the name itself never becomes a path unchecked.
    const file = files.find(({ name }) => name === params['file']);
    if (!file?.hash)
      throw new CortexError('route_not_found', { method: request.method ?? 'GET', path: `/${params['file']}` });
    const path = await realpath(join(cache.snapshotPath(commit), file.name));
    const { size } = await stat(path);
    const etag = `"${file.hash.hex}"`;
    const head = {
      etag,
      'x-repo-commit': commit,
      'x-linked-etag': etag,
      'x-linked-size': String(size),
      'accept-ranges': 'bytes',
      'content-type': 'application/octet-stream',
    };
    const range = parseRange(request.headers.range, size);
    if (range === 'none') {
      response.writeHead(416, { ...head, 'content-range': `bytes */${size}`, 'content-length': 0 }).end();
      return;
    }
    const { begin, end } = range ?? { begin: 0, end: size };
    response.writeHead(range ? 206 : 200, {
      ...head,
      'content-length': end - begin,
      ...(range ? { 'content-range': `bytes ${begin}-${end - 1}/${size}` } : {}),
    });
    if (request.method === 'HEAD' || begin === end) {
      response.end();
      return;
    }
    try {
      await pipeline(createReadStream(path, { start: begin, end: end - 1 }), response, { signal: exchange.signal });
    } catch (error) {
      // A reader that has gone, or a file that has: the answer is cut short, which its length gives away.
      exchange.log.warn({ err: error, file: file.name }, 'a file was not lent to its end');
      response.destroy();
    }
  }

  async #snapshot({ params }: Exchange): Promise<Snapshot> {
    const model = `${params['org']}/${params['name']}`;
    const cache = isSourceId(model, 'any') ? this.#sources.cacheOf(model) : null;
    const commit = cache && (await cache.commitOf(params['rev'] ?? 'main'));
    if (!cache || commit === null) throw new CortexError('model_not_found', { model });
    return { cache, commit, files: (await cache.filesOf(commit)).filter(({ hash }) => hash !== null) };
  }
}

/** One byte range; null: the whole file, as for several ranges; `none`: it lies behind the end. */
export function parseRange(header: string | undefined, size: number): { begin: number; end: number } | 'none' | null {
  const groups = /^bytes=(?<from>\d*)-(?<to>\d*)$/.exec(header ?? '')?.groups;
  if (!groups || (groups['from'] === '' && groups['to'] === '')) return null;
  if (groups['from'] === '') {
    const length = Math.min(Number(groups['to']), size);
    return length === 0 ? 'none' : { begin: size - length, end: size };
  }
  const begin = Number(groups['from']);
  const end = groups['to'] === '' ? size : Math.min(Number(groups['to']) + 1, size);
  if (groups['to'] !== '' && Number(groups['to']) < begin) return null;
  return begin >= size ? 'none' : { begin, end };
}
