import { elementwise } from './elementwise.js';
import { geluExact, geluTanh } from './math.js';

/** y = x * Phi(x): exact, by the error function, or by its tanh approximation. */
export const gelu = elementwise({
  name: 'gelu',
  macs: 8,
  element: (context) => (context.param('tanh') ? geluTanh : geluExact),
});
