import { elementwise } from './elementwise.js';

/** y = x * factor. */
export const scale = elementwise({
  name: 'scale',
  macs: 1,
  acceptsPartial: () => true,
  element: (context) => {
    const factor = context.param('factor');
    return (x) => x * factor;
  },
});
