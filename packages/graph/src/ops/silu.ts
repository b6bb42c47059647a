import { elementwise } from './elementwise.js';
import { silu as siluOf } from './math.js';

/** y = x * sigmoid(x). */
export const silu = elementwise({ name: 'silu', macs: 4, element: () => siluOf });
