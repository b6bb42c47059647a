import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** A registry of one model, `org/model`, that can be held in the middle of its weights. */
export interface FaultRegistry {
  readonly url: string;
  /** Bytes of weights that were sent. */
  readonly sentBytes: number;
  readonly weightBytes: number;
  /** Sends no weights behind this byte until it is called with null. */
  hold(atByte: number | null): void;
  close(): Promise<void>;
}

const commit = 'a'.repeat(40);
const pieceBytes = 256 * 1024;

/** Serves a model folder in the protocol of registries, on a free port of the loopback address. */
export async function startFaultRegistry(folder: string): Promise<FaultRegistry> {
  const files = new Map(
    await Promise.all(
      (await readdir(folder)).map(async (name) => [name, new Uint8Array(await readFile(join(folder, name)))] as const),
    ),
  );
  let heldAt: number | null = null;
  let sentBytes = 0;
  let release: (() => void)[] = [];
  const isWeights = (name: string) => name.endsWith('.safetensors');
  const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  const siblings = [...files].map(([rfilename, bytes]) => ({
    rfilename,
    size: bytes.length,
    lfs: { sha256: hashOf(bytes), size: bytes.length },
  }));

  async function send(response: ServerResponse, name: string, bytes: Uint8Array, begin: number, end: number) {
    for (let at = begin; at < end; ) {
      while (isWeights(name) && heldAt !== null && at >= heldAt && !response.destroyed)
        await new Promise<void>((resolve) => release.push(resolve));
      if (response.destroyed) return;
      const limit = isWeights(name) && heldAt !== null ? Math.max(at + 1, Math.min(end, heldAt)) : end;
      const piece = bytes.subarray(at, Math.min(at + pieceBytes, limit));
      at += piece.length;
      if (isWeights(name)) sentBytes += piece.length;
      if (!response.write(piece)) await new Promise<void>((resolve) => release.push(resolve));
    }
    response.end();
  }

  const server = createServer((request, response) => {
    response.on('close', () => wake());
    response.on('drain', () => wake());
    const name = /^\/org\/model\/resolve\/[^/]+\/(.+)$/.exec(request.url ?? '')?.[1] ?? '';
    const bytes = files.get(name);
    if (request.url?.startsWith('/api/models/org/model')) response.end(JSON.stringify({ sha: commit, siblings }));
    else if (!bytes) response.writeHead(404).end();
    else {
      const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
      const begin = Number(range?.[1] ?? 0);
      const end = range?.[2] ? Number(range[2]) + 1 : bytes.length;
      response.writeHead(range ? 206 : 200, {
        'content-length': end - begin,
        ...(range ? { 'content-range': `bytes ${begin}-${end - 1}/${bytes.length}` } : {}),
      });
      void send(response, name, bytes, begin, end);
    }
  });
  const wake = () => {
    for (const resolve of release.splice(0)) resolve();
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get sentBytes() {
      return sentBytes;
    },
    weightBytes: [...files].reduce((sum, [name, bytes]) => sum + (isWeights(name) ? bytes.length : 0), 0),
    hold(atByte) {
      heldAt = atByte;
      wake();
      release = [];
    },
    close: async () => {
      heldAt = null;
      wake();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
