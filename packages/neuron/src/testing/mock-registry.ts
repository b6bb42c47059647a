import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseRange } from '../sources/hub-server.js';

/** A file: its bytes, or a header with so many zeros behind it that nobody should ask for. */
export type MockFile = Uint8Array | { readonly head: Uint8Array; readonly bytes: number };

export interface MockRepository {
  readonly files: Readonly<Record<string, MockFile>>;
  /** Of a revision beside `main`, which stands in the registry as `org/name@revision`. */
  readonly commit?: string;
  /** Whether the listing has lengths and hashes, as `?blobs=true` wants; true when absent. */
  readonly hasBlobs?: boolean;
}

/** One request as it came. */
export interface MockRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

/** What goes wrong with one answer. */
export type MockFault =
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | { readonly kind: 'reset'; readonly afterBytes: number }
  | { readonly kind: 'corrupt' }
  | { readonly kind: 'length'; readonly extraBytes: number }
  | { readonly kind: 'no-range' }
  | { readonly kind: 'silence' }
  | { readonly kind: 'wait'; readonly until: Promise<void> }
  | { readonly kind: 'redirect'; readonly to: string };

export interface MockRegistry {
  readonly url: string;
  readonly repositories: Map<string, MockRepository>;
  readonly requests: MockRequest[];
  /** Bytes of file bodies that were sent, by file name. */
  readonly sent: Map<string, number>;
  /** Asked for every request; what it gives goes wrong. */
  fault: (request: MockRequest, number: number) => MockFault | null;
  close(): Promise<void>;
}

const mainCommit = 'c'.repeat(40);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const gitHash = (bytes: Uint8Array) => createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
const sizeOf = (file: MockFile): number => (file instanceof Uint8Array ? file.length : file.bytes);
/** A file that is never read whole has a hash that nobody can check. */
const hashOf = (name: string, file: MockFile): { lfs: boolean; hex: string } => {
  const isLarge = /\.(?:safetensors|gguf)$/i.test(name);
  if (!(file instanceof Uint8Array)) return { lfs: true, hex: sha256(file.head) };
  return { lfs: isLarge, hex: isLarge ? sha256(file) : gitHash(file) };
};

function bytesOf(file: MockFile, begin: number, end: number): Buffer {
  if (file instanceof Uint8Array) return Buffer.from(file.subarray(begin, end));
  const bytes = Buffer.alloc(end - begin);
  bytes.set(file.head.subarray(Math.min(begin, file.head.length), Math.min(end, file.head.length)));
  return bytes;
}

/** A registry on a free port of the loopback address that answers as told, or as wrongly as told. */
export async function startMockRegistry(
  repositories: Readonly<Record<string, MockRepository>> = {},
): Promise<MockRegistry> {
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const registry: MockRegistry = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    repositories: new Map(Object.entries(repositories)),
    requests: [],
    sent: new Map(),
    fault: () => null,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };

  /** The content that a branch, a tag or a commit of a repository names. */
  function revisionOf(name: string, revision: string): MockRepository | undefined {
    if (revision === 'main' || revision === mainCommit) return registry.repositories.get(name);
    const revisions = [...registry.repositories].filter(([key]) => key.startsWith(`${name}@`));
    return revisions.find(([key, { commit }]) => key === `${name}@${revision}` || commit === revision)?.[1];
  }

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request: MockRequest = {
      method: incoming.method ?? 'GET',
      path: incoming.url ?? '/',
      authorization: incoming.headers.authorization,
      range: incoming.headers.range,
    };
    registry.requests.push(request);
    const fault = registry.fault(request, registry.requests.length);
    if (fault?.kind === 'silence') return;
    if (fault?.kind === 'wait') await fault.until;
    if (fault?.kind === 'status') {
      response.writeHead(fault.status, { ...fault.headers }).end();
      return;
    }
    if (fault?.kind === 'redirect') {
      response.writeHead(302, { location: fault.to + request.path }).end();
      return;
    }
    const path = decodeURIComponent(request.path.split('?')[0]!);
    const listing = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/([^/]+)$/.exec(path);
    const resolve = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path);
    const repository = revisionOf((listing ?? resolve)?.[1] ?? '', (listing ?? resolve)?.[2] ?? '');
    if (!repository) {
      response.writeHead(404, { 'x-error-code': 'RepoNotFound' }).end();
      return;
    }
    if (listing) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(describe(repository)));
      return;
    }
    const name = resolve?.[3] ?? '';
    const file = repository.files[name];
    if (!file) response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
    else sendFile(request, response, name, file, fault);
  }

  function sendFile(
    request: MockRequest,
    response: ServerResponse,
    name: string,
    file: MockFile,
    fault: MockFault | null,
  ): void {
    const size = sizeOf(file);
    const range = fault?.kind === 'no-range' ? null : parseRange(request.range, size);
    const head = { etag: `"${hashOf(name, file).hex}"` };
    if (range === 'none') {
      response.writeHead(416, head).end();
      return;
    }
    const { begin, end } = range ?? { begin: 0, end: size };
    const extra = fault?.kind === 'length' ? fault.extraBytes : 0;
    response.writeHead(range ? 206 : 200, {
      ...head,
      'content-length': end - begin + extra,
      ...(range ? { 'content-range': `bytes ${begin}-${end - 1}/${size}` } : {}),
    });
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    const body = Buffer.concat([bytesOf(file, begin, end), Buffer.alloc(Math.max(0, extra))]);
    if (fault?.kind === 'corrupt') body[body.length - 1] = body.at(-1)! ^ 1;
    const count = (bytes: number) => registry.sent.set(name, (registry.sent.get(name) ?? 0) + bytes);
    if (fault?.kind === 'reset') {
      const part = body.subarray(0, fault.afterBytes);
      count(part.length);
      response.write(part, () => response.destroy());
      return;
    }
    count(body.length);
    response.end(body);
  }

  return registry;
}

function describe({ files, hasBlobs = true, commit = mainCommit }: MockRepository) {
  const siblings = Object.entries(files).map(([rfilename, file]) => {
    if (!hasBlobs) return { rfilename };
    const { lfs, hex } = hashOf(rfilename, file);
    return lfs
      ? { rfilename, size: sizeOf(file), blobId: 'f'.repeat(40), lfs: { sha256: hex, size: sizeOf(file) } }
      : { rfilename, size: sizeOf(file), blobId: hex };
  });
  return { id: 'mock', sha: commit, siblings };
}
