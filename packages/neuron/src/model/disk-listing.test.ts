import { FakeClock } from '@helexa/core/testing';
import test from 'ava';
import { DiskListing } from './disk-listing.js';

const listing = () => {
  const clock = new FakeClock();
  const disk = { ids: ['a', 'b', 'a'], scans: 0, isBroken: false };
  const scan = async () => {
    disk.scans += 1;
    if (disk.isBroken) throw new Error('it is broken');
    return [...disk.ids];
  };
  return { clock, disk, list: new DiskListing({ clock, scan }) };
};

test('DiskListing reads the folders once for many askers, and anew after five seconds', async (t) => {
  const { clock, disk, list } = listing();
  t.deepEqual(await Promise.all([list.ids('p.0'), list.ids('p.0')]), [
    ['a', 'b'],
    ['a', 'b'],
  ]);
  disk.ids = ['c'];
  await clock.advance(4999);
  t.deepEqual(await list.ids('p.0'), ['a', 'b']);
  t.is(disk.scans, 1);
  await clock.advance(1);
  t.deepEqual(await list.ids('p.0'), ['c']);
});

test('DiskListing reads anew when a model came or left here', async (t) => {
  const { disk, list } = listing();
  await list.ids('p.0');
  disk.ids = ['c'];
  t.deepEqual(await list.ids('p.1'), ['c']);
  t.is(disk.scans, 2);
});

test('DiskListing tells its caller of a reading that failed, and keeps none', async (t) => {
  const { disk, list } = listing();
  disk.isBroken = true;
  await t.throwsAsync(list.ids('p.0'), { message: 'it is broken' });
  disk.isBroken = false;
  t.deepEqual(await list.ids('p.0'), ['a', 'b']);
});
