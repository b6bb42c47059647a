import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '@helexa/core/testing';
import test from 'ava';
import { pino } from 'pino';
import { Notifier, sendByHelper } from './notifier.js';
import { type ServiceOptions, SystemdService } from './service.js';

const settle = async () => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
};

function rig(options: Partial<ServiceOptions> = {}) {
  const sent: string[][] = [];
  const clock = new FakeClock();
  const lines: string[] = [];
  const service = new SystemdService({
    env: { NOTIFY_SOCKET: '@cortex', WATCHDOG_USEC: '60000000', WATCHDOG_PID: '7' },
    pid: 7,
    clock,
    log: pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) }),
    send: async (assignments) => void sent.push([...assignments]),
    status: () => 'Serving 1 model',
    isAlive: async () => true,
    ...options,
  });
  return { service, sent, clock, lines };
}

test('SystemdService says that it is ready, then that it is alive three times in the span, then that it ends', async (t) => {
  const { service, sent, clock } = rig();
  service.ready();
  await settle();
  t.deepEqual(sent, [['READY=1', 'STATUS=Serving 1 model']]);
  for (let third = 0; third < 3; third++) {
    await clock.advance(20_000);
    await settle();
  }
  t.deepEqual(sent.slice(1), [['WATCHDOG=1'], ['WATCHDOG=1'], ['WATCHDOG=1']]);
  await service.stopping();
  t.is(sent.at(-1)![0], 'STOPPING=1');
  service.close();
  t.is(clock.pending, 0);
});

test('SystemdService leaves the manager without a word when it does not answer itself', async (t) => {
  const { service, sent, clock, lines } = rig({ isAlive: async () => false });
  service.ready();
  await clock.advance(60_000);
  await settle();
  t.is(sent.length, 1);
  t.regex(lines[0]!, /does not answer itself/);
  service.close();
});

test('SystemdService says a status that has changed, once', async (t) => {
  let status = 'Loading a: 10 %';
  const { service, sent, clock } = rig({ status: () => status, env: { NOTIFY_SOCKET: '/run/x' } });
  service.ready();
  await clock.advance(4000);
  status = 'Loading\na: 20 %';
  await clock.advance(4000);
  await settle();
  t.deepEqual(sent, [['READY=1', 'STATUS=Loading a: 10 %'], ['STATUS=Loading a: 20 %']]);
  service.close();
});

test('SystemdService is silent without a manager, and about the watchdog of another process', async (t) => {
  const alone = rig({ env: { WATCHDOG_USEC: '1000' } });
  alone.service.ready();
  await alone.service.stopping();
  await alone.clock.advance(10_000);
  t.deepEqual(alone.sent, []);
  const other = rig({ env: { NOTIFY_SOCKET: '/x', WATCHDOG_USEC: '1000', WATCHDOG_PID: '8' } });
  other.service.ready();
  await settle();
  t.is(other.clock.pending, 1);
  other.service.close();
});

test('SystemdService warns once when nothing can be sent', async (t) => {
  const { service, clock, lines } = rig({
    send: async () => {
      throw new Error('ENOENT');
    },
  });
  service.ready();
  await settle();
  await clock.advance(40_000);
  await settle();
  t.is(lines.length, 1);
  service.close();
});

test('Notifier sends one message at a time and the last value of what changed meanwhile', async (t) => {
  const sent: string[][] = [];
  const ends: (() => void)[] = [];
  const notifier = new Notifier(
    (assignments) =>
      new Promise((resolve) => {
        sent.push([...assignments]);
        ends.push(resolve);
      }),
    () => t.fail(),
  );
  notifier.say('STATUS', 'a');
  await settle();
  for (const status of ['b', 'c']) notifier.say('STATUS', status);
  notifier.say('STOPPING', '1');
  await settle();
  t.is(sent.length, 1);
  ends[0]!();
  await settle();
  ends[1]!();
  await notifier.flushed();
  t.deepEqual(sent, [['STATUS=a'], ['STATUS=c', 'STOPPING=1']]);
});

test('sendByHelper hands each assignment and the environment to the helper, and rejects when it fails', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'cortex-notify-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const helper = join(folder, 'helper');
  await writeFile(helper, '#!/bin/sh\nprintf "%s|" "$NOTIFY_SOCKET" "$@" > "$0.said"\n');
  await chmod(helper, 0o755);
  await sendByHelper({ NOTIFY_SOCKET: '@abstract' }, helper)(['READY=1', 'STATUS=two words']);
  t.is(await readFile(`${helper}.said`, 'utf8'), '@abstract|READY=1|STATUS=two words|');
  await t.throwsAsync(sendByHelper({}, join(folder, 'absent'))(['READY=1']));
});
