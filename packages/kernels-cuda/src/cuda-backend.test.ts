import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { CortexError } from '@helexa/core';
import test from 'ava';
import { libraryFile } from './binding.js';
import { cudaBackend } from './cuda-backend.js';
import { control, emulatedBackend, missingEmulation } from './emulated.fixture.js';

const refusal = (action: () => unknown): string => {
  try {
    action();
    return 'none';
  } catch (error) {
    return CortexError.isInstance(error) && error.code === 'backend_unavailable' ? error.message : String(error);
  }
};

test('cudaBackend refuses a library that is not there, and a file that is none', (t) => {
  t.regex(
    refusal(() => cudaBackend({ library: '/nowhere/lib.so' })),
    /^Cannot use backend 'cuda': library '\/nowhere\/lib.so' is not there; /,
  );
  t.regex(
    refusal(() => cudaBackend({ library: 'libm.so.6' })),
    /'libm.so.6' is no CUDA library of this release$/,
  );
});

const hasDriver = spawnSync('nvidia-smi', ['-L']).status === 0;
const built = existsSync(libraryFile) && !hasDriver;

(built ? test : test.skip)('cudaBackend says that there is no NVIDIA driver, and nothing breaks', (t) => {
  t.regex(
    refusal(() => cudaBackend()),
    /^Cannot use backend 'cuda': no NVIDIA driver: /,
  );
});

(missingEmulation ? test.skip : test.serial)('discover names devices with memory and capability', async (t) => {
  control('devices 2');
  control('capability 86');
  const backend = emulatedBackend();
  const devices = await backend.discover();
  t.deepEqual(
    devices.map(({ index, name, capability }) => [index, name, capability]),
    [
      [0, 'emulated device 0', '8.6'],
      [1, 'emulated device 1', '8.6'],
    ],
  );
  t.true(devices.every(({ freeBytes, memoryBytes }) => freeBytes > 0 && freeBytes <= memoryBytes));
  await backend.dispose();
});
