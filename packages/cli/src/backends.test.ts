import { CortexError } from '@helexa/core';
import { type Backend, nullBackend, referenceBackend } from '@helexa/graph';
import test from 'ava';
import { type BackendMakers, backendMakers, openBackend } from './backends.js';

const unavailable = () => {
  throw new CortexError('backend_unavailable', { backend: 'cpu', reason: 'the addon was not built' });
};
const noDriver = () => {
  throw new CortexError('backend_unavailable', { backend: 'cuda', reason: 'no NVIDIA driver' });
};
const cpu = nullBackend();
const cuda = nullBackend();
const without: BackendMakers = { cpu: unavailable, reference: referenceBackend, cuda: noDriver };
const withCpu: BackendMakers = { cpu: () => cpu, reference: referenceBackend, cuda: noDriver };
const withBoth: BackendMakers = { ...withCpu, cuda: () => cuda };

test('openBackend takes the CPU kernels when the device is left to it', (t) => {
  const warnings: string[] = [];
  t.is(
    openBackend({ device: 'auto' }, (text) => warnings.push(text), withCpu),
    cpu,
  );
  t.deepEqual(warnings, []);
});

test('openBackend goes on with the reference backend, and says so, when the kernels cannot be loaded', (t) => {
  const warnings: string[] = [];
  const backend: Backend = openBackend({ device: 'auto' }, (text) => warnings.push(text), without);
  t.is(backend.name, 'reference');
  t.is(warnings.length, 1);
  t.regex(warnings[0] ?? '', /the addon was not built; going on with the reference backend/);
});

test('openBackend refuses a device asked for by name rather than replacing it', (t) => {
  const refused = t.throws(() => openBackend({ device: 'cpu' }, t.fail, without), { instanceOf: CortexError });
  t.is(refused?.code, 'backend_unavailable');
  t.is(t.throws(() => openBackend({ device: 'cuda' }, t.fail, withCpu), { instanceOf: CortexError })?.exit, 69);
});

test('openBackend lets any other failure of the kernels through', (t) => {
  const broken = {
    ...withCpu,
    cpu: () => {
      throw new RangeError('x');
    },
  };
  t.throws(() => openBackend({ device: 'auto' }, t.fail, broken), { instanceOf: RangeError });
});

test('openBackend hands the instruction set and the threads on, and only those given', (t) => {
  const seen: unknown[] = [];
  const spy = {
    ...withCpu,
    cpu: (options: unknown) => {
      seen.push(options);
      return cpu;
    },
  };
  openBackend({ device: 'cpu', isa: 'avx2', threads: 2 }, t.fail, spy);
  openBackend({ device: 'auto' }, t.fail, spy);
  t.deepEqual(seen, [{ isa: 'avx2', threads: 2 }, {}]);
});

test('openBackend takes an NVIDIA device when there is one, unless the CPU is meant', (t) => {
  t.is(openBackend({ device: 'auto' }, t.fail, withBoth), cuda);
  t.is(openBackend({ device: 'auto', isa: 'auto' }, t.fail, withBoth), cuda);
  t.is(openBackend({ device: 'cuda' }, t.fail, withBoth), cuda);
  t.is(openBackend({ device: 'cpu' }, t.fail, withBoth), cpu);
  t.is(openBackend({ device: 'auto', isa: 'avx2' }, t.fail, withBoth), cpu);
  const broken: BackendMakers = {
    ...withBoth,
    cuda: () => {
      throw new RangeError('x');
    },
  };
  t.throws(() => openBackend({ device: 'auto' }, t.fail, broken), { instanceOf: RangeError });
});

test('backendMakers has every backend, or a refusal that says what is missing', async (t) => {
  const { cuda: maker } = await backendMakers();
  try {
    await maker().dispose();
  } catch (error) {
    t.true(CortexError.isInstance(error) && error.code === 'backend_unavailable', String(error));
  }
  t.is(typeof maker, 'function');
});
