import { createHash, randomBytes } from 'node:crypto';
import test from 'ava';
import { DigestThread } from './digest-thread.js';

const hexOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const large = new Uint8Array(randomBytes(24 * 2 ** 20));

test('DigestThread gives the hashes of files that come side by side, small ones and large ones, and takes its bytes at once', async (t) => {
  const thread = new DigestThread();
  t.teardown(() => thread.close());
  const buffer = new Uint8Array(2 ** 16);
  const feed = async (bytes: Uint8Array, hex: string) => {
    const digest = thread.digest({ kind: 'sha256', hex }, bytes.length);
    for (let at = 0; at < bytes.length; at += buffer.length) {
      const part = bytes.subarray(at, at + buffer.length);
      buffer.set(part);
      const taken = digest.update(buffer.subarray(0, part.length));
      buffer.fill(0);
      await taken;
    }
    return await digest.mismatch();
  };
  const small = large.subarray(0, 100_000);
  const wrong = 'f'.repeat(64);
  t.deepEqual(await Promise.all([feed(large, hexOf(large)), feed(small, hexOf(small)), feed(large, wrong)]), [
    null,
    null,
    hexOf(large),
  ]);
});

test('DigestThread knows the hashes of git', async (t) => {
  const thread = new DigestThread();
  t.teardown(() => thread.close());
  const digest = thread.digest({ kind: 'git', hex: 'ce013625030ba8dba906f756967f9e9ca394464a' }, 6);
  await digest.update(new TextEncoder().encode('hello\n'));
  t.is(await digest.mismatch(), null);
});

test('DigestThread ends what waits for it when it is closed', async (t) => {
  const thread = new DigestThread();
  const digest = thread.digest({ kind: 'sha256', hex: hexOf(large) }, large.length);
  await digest.update(large.subarray(0, 1000));
  const ending = digest.mismatch();
  const given = thread.digest({ kind: 'sha256', hex: hexOf(large) }, large.length);
  given.abandon();
  await thread.close();
  // The thread may have been faster than the close.
  const outcome = await ending.then(
    () => 'hash',
    (error: { code: string }) => error.code,
  );
  t.true(['hash', 'disposed'].includes(outcome));
  await t.throwsAsync(digest.update(large.subarray(0, 1)), { code: 'disposed' });
});
