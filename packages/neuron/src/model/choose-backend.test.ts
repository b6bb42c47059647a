import { type Backend, nullBackend } from '@helexa/graph';
import test from 'ava';
import { chooseBackend } from './choose-backend.js';

const named = (name: string, discover?: Backend['discover']): Backend => ({
  ...nullBackend(),
  name,
  ...(discover ? { discover } : {}),
});

test('chooseBackend takes the fastest that has a device for auto', async (t) => {
  const list = [named('reference'), named('cpu'), named('cuda', async () => [])];
  t.is((await chooseBackend(list, 'auto')).name, 'cpu');
  t.is((await chooseBackend([named('other'), named('reference')], 'auto')).name, 'reference');
  t.is((await chooseBackend([named('other')], 'auto')).name, 'other');
});

test('chooseBackend gives a named one or refuses with the reason, never another', async (t) => {
  const broken = named('cuda', () => Promise.reject(new Error('the driver is too old')));
  t.is((await chooseBackend([named('cpu'), named('reference')], 'reference')).name, 'reference');
  await t.throwsAsync(chooseBackend([named('cpu'), broken], 'cuda'), {
    code: 'backend_unavailable',
    message: /driver is too old/,
  });
  await t.throwsAsync(chooseBackend([named('cpu')], 'cuda'), { code: 'backend_unavailable', message: /'cpu'/ });
});
