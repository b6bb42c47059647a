import { backendSuite } from '@helexa/graph/conformance';
import test from 'ava';
import { addonUnderTest, isasHere } from './addon.fixture.js';
import { cpuBackend } from './index.js';

// Every instruction set this machine has, each against the reference, op by op. Three workers on one set, one on the others:
// how work is divided must never show.
for (const [index, isa] of isasHere().entries()) {
  const backend = () => cpuBackend({ isa, threads: index === 0 ? 3 : 1, ...addonUnderTest() });
  backendSuite(test, { name: `cpu ${isa}`, backend, batchInvariant: true });
}
