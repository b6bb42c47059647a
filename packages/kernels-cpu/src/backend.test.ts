import { backendSuite } from '@helexa/graph/conformance';
import test from 'ava';
import { addonUnderTest, isasHere } from './addon.fixture.js';
import { type CpuBackendOptions, cpuBackend } from './index.js';

// Every instruction set this machine has, each against the reference, op by op; with one worker and with several, since
// how work is divided must never show.
for (const isa of isasHere()) {
  const options: CpuBackendOptions = { isa, ...addonUnderTest() };
  backendSuite(test, {
    name: `cpu ${isa}`,
    backend: () => cpuBackend({ ...options, threads: 1 }),
    batchInvariant: true,
  });
  backendSuite(test, {
    name: `cpu ${isa}, 3 threads`,
    backend: () => cpuBackend({ ...options, threads: 3 }),
    batchInvariant: true,
  });
}
