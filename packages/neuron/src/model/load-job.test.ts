import { CortexError } from '@helexa/core';
import { FakeClock } from '@helexa/core/testing';
import test from 'ava';
import { JobBoard } from './job-board.js';
import { LoadJob } from './load-job.js';

test('LoadJob counts bytes, rate and time left of each phase on its own', async (t) => {
  const clock = new FakeClock();
  const job = new LoadJob({ id: 'load-1', model: 'a', clock });
  await clock.advance(500);
  job.enter('downloading');
  job.report({ bytes: 0, totalBytes: 10_000 });
  await clock.advance(2000);
  job.report({ bytes: 4000, totalBytes: 10_000 });
  t.like(job.view(), { phase: 'downloading', bytes: 4000, bytes_per_second: 2000, eta_seconds: 3 });
  job.enter('uploading');
  t.like(job.view(), { phase: 'uploading', bytes: 0, total_bytes: 0, bytes_per_second: null, eta_seconds: null });
  await clock.advance(1000);
  job.end(null);
  t.deepEqual(job.view().phases, [
    { phase: 'resolving', ms: 500, bytes: 0 },
    { phase: 'downloading', ms: 2000, bytes: 4000 },
    { phase: 'uploading', ms: 1000, bytes: 0 },
    { phase: 'ready', ms: 0, bytes: 0 },
  ]);
});

test('LoadJob slows down in its own eyes when nothing comes, and begins anew with a file that does', async (t) => {
  const clock = new FakeClock();
  const job = new LoadJob({ id: 'load-1', model: 'a', clock });
  job.enter('downloading');
  for (const bytes of [0, 1000, 2000]) {
    job.report({ bytes, totalBytes: 10_000 });
    await clock.advance(1000);
  }
  const before = job.view().bytes_per_second!;
  await clock.advance(6000);
  t.true(job.view().bytes_per_second! < before / 2);
  job.report({ bytes: 0, totalBytes: 10_000 });
  t.is(job.view().bytes_per_second, null);
});

test('LoadJob ends once, wakes every watcher, and tells a cancelled load from a failed one', async (t) => {
  const clock = new FakeClock();
  const failed = new LoadJob({ id: 'load-1', model: 'a', clock });
  const changes = [failed.nextChange(), failed.nextChange()];
  const error = new CortexError('disk_full', { folder: 'x', wantBytes: 2, haveBytes: 1 });
  failed.end(error);
  failed.end(null);
  await Promise.all(changes);
  await t.throwsAsync(failed.outcome(), { code: 'disk_full' });
  t.is(failed.view().state, 'failed');
  const cancelled = new LoadJob({ id: 'load-2', model: 'a', clock });
  cancelled.cancel('nobody wants it');
  cancelled.end(cancelled.signal.reason);
  t.is(cancelled.view().state, 'cancelled');
});

test('JobBoard keeps every load that runs, and the last that ended', (t) => {
  const clock = new FakeClock();
  const board = new JobBoard();
  const running = new LoadJob({ id: 'running', model: 'a', clock });
  board.add(running);
  for (let index = 0; index < 100; index++) {
    const job = new LoadJob({ id: `load-${index}`, model: 'b', clock });
    job.end(null);
    board.add(job);
  }
  t.is(board.get('running'), running);
  t.is(board.jobs.length, 65);
  t.is(board.jobs[0]!.id, 'load-99');
  t.throws(() => board.get('load-0'), { code: 'job_not_found' });
});
