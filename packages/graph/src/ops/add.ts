import { elementwise } from './elementwise.js';

/** y = a + b. Two partial sums add up to a partial sum. */
export const add = elementwise({
  name: 'add',
  macs: 1,
  acceptsPartial: (inputs) => inputs.every((state) => state.kind === 'partial'),
  element: () => (a, b) => a + b,
});
