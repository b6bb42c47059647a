import { elementwise } from './elementwise.js';
import { sigmoid as sigmoidOf } from './math.js';

/** y = 1 / (1 + exp(-x)). */
export const sigmoid = elementwise({ name: 'sigmoid', macs: 3, element: () => sigmoidOf });
