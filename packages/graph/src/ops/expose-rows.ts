import { rowsToStep } from './rows-to-step.js';

/** Row i of x becomes the first columns of row i of the exposed logits: how a model without its head answers; rank 0 only. */
export const exposeRows = rowsToStep({
  name: 'expose_rows',
  rows: 'sampled',
  wanted: 'sampled rows',
  placeOf: (layout, row) => layout.logits + row * layout.limits.vocab,
});
