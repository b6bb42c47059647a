import type { CortexError } from '@helexa/core';
import test from 'ava';
import { cudaBackend } from './index.js';

test('cudaBackend says that it is not built', (t) => {
  const error = t.throws(() => cudaBackend()) as CortexError;
  t.is(error.code, 'backend_unavailable');
  t.is(error.message, "Cannot use backend 'cuda': it is not built yet");
});
