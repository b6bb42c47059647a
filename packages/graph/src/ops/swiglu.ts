import { elementwise } from './elementwise.js';
import { silu } from './math.js';

/** y = silu(gate) * up. */
export const swiglu = elementwise({ name: 'swiglu', macs: 5, element: () => (gate, up) => silu(gate) * up });
