import { elementwise } from './elementwise.js';

/** y = a * b. */
export const mul = elementwise({ name: 'mul', macs: 1, element: () => (a, b) => a * b });
