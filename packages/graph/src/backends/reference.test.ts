import test from 'ava';
import { backendSuite } from '../conformance/backend.suite.js';
import { referenceBackend } from './reference.js';

// Fused programs against plain ones; and every case shows that its bound refuses its mutation.
backendSuite(test, { name: 'reference', backend: () => referenceBackend(), batchInvariant: true });
