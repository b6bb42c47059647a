import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { demonstrationPlaces } from '../find-model.js';
import { runCortex, startCortex } from '../testing/cortex-process.js';

/** A registry on the loopback address that has the demonstration model as `org/tiny`. */
async function startRegistry() {
  const source = demonstrationPlaces[0]!;
  const files = new Map(
    await Promise.all((await readdir(source)).map(async (name) => [name, await readFile(join(source, name))] as const)),
  );
  const sent = new Map<string, number>();
  const server = createServer((request, response) => {
    const name = /^\/org\/tiny\/resolve\/[^/]+\/(.+)$/.exec(request.url ?? '')?.[1];
    const file = files.get(name ?? '');
    if (request.url?.startsWith('/api/models/org/tiny/')) {
      const siblings = [...files].map(([rfilename, bytes]) => {
        const blob = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
        return { rfilename, size: bytes.length, blobId: blob };
      });
      response.end(JSON.stringify({ sha: 'a'.repeat(40), siblings }));
    } else if (name !== undefined && file) {
      const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
      const begin = Number(range?.[1] ?? 0);
      const end = range?.[2] ? Number(range[2]) + 1 : file.length;
      sent.set(name, (sent.get(name) ?? 0) + end - begin);
      const head = range ? { 'content-range': `bytes ${begin}-${end - 1}/${file.length}` } : {};
      response.writeHead(range ? 206 : 200, { 'content-length': end - begin, ...head }).end(file.subarray(begin, end));
    } else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, sent, close: () => new Promise<void>((resolve) => server.close(() => resolve())) };
}

test('preflight reads a model of a registry without its weights, up fetches and serves it, and then needs no registry', async (t) => {
  const registry = await startRegistry();
  const cache = await mkdtemp(join(tmpdir(), 'cortex-cache-'));
  t.teardown(() => rm(cache, { recursive: true, force: true }));
  const env = { HF_ENDPOINT: registry.url, HF_HUB_CACHE: cache, HF_HUB_OFFLINE: '0' };

  const checked = await runCortex(['preflight', 'org/tiny', '--device', 'reference', '--json'], { env });
  t.is(checked.code, 0, checked.stderr);
  const report = JSON.parse(checked.stdout) as { ok: boolean; download: { missingBytes: number; totalBytes: number } };
  t.true(report.ok);
  t.is(report.download.missingBytes, report.download.totalBytes);
  t.true(registry.sent.get('model.safetensors')! < 20_000);

  const absent = await runCortex(['preflight', 'org/absent', '--device', 'reference', '--json'], { env });
  t.is(absent.code, 66);

  const first = await startCortex(['org/tiny', '--device', 'reference'], { env });
  t.is(first.address.model, 'org/tiny');
  await first.stop();
  await registry.close();
  const second = await startCortex(['huggingface:org/tiny', '--device', 'reference'], {
    env: { ...env, HF_HUB_OFFLINE: '1' },
  });
  t.is(second.address.model, 'org/tiny');
  t.is((await second.stop()).code, 0);
});
