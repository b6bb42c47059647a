import { CortexError } from '@helexa/core';
import { backendSuite } from '@helexa/graph/conformance';
import test from 'ava';
import { cudaBackend } from './cuda-backend.js';

/** Why there is no device to test on, or null. */
async function missingDevice(): Promise<string | null> {
  try {
    await cudaBackend().dispose();
    return null;
  } catch (error) {
    if (CortexError.isInstance(error) && error.code === 'backend_unavailable') return error.message;
    throw error;
  }
}

const missing = await missingDevice();
if (missing) test.skip(`cuda: not tested on a device: ${missing}`, () => {});
else backendSuite(test, { name: 'cuda', backend: () => cudaBackend() });
