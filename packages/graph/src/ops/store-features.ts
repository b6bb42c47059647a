import { rowsToStep } from './rows-to-step.js';

/** Rows of x into the step buffer, where the caller reads them and `embed` finds them; rank 0 only. */
export const storeFeatures = rowsToStep({
  name: 'store_features',
  state: { kind: 'features', access: 'writes' },
  rows: 'features',
  wanted: 'merged patches',
  placeOf: (layout, row, width) => layout.features + row * width,
});
