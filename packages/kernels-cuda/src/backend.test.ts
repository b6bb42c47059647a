import { backendSuite } from '@helexa/graph/conformance';
import test from 'ava';
import { emulatedBackend, missingEmulation } from './emulated.fixture.js';

if (missingEmulation) test.skip(`cuda emulated: not tested: ${missingEmulation}`, () => {});
else backendSuite(test, { name: 'cuda emulated', backend: emulatedBackend });
