import { CortexError } from '@helexa/core';
import test from 'ava';
import fc from 'fast-check';
import { smartResize } from './smart-resize.js';

const bounds = { factor: 32, minPixels: 65_536, maxPixels: 16_777_216 };

test('smartResize rounds each side to whole blocks, halves to the even one', (t) => {
  t.deepEqual(smartResize({ height: 448, width: 448 }, bounds), { height: 448, width: 448 });
  t.deepEqual(smartResize({ height: 335, width: 337 }, bounds), { height: 320, width: 352 });
  // 10.5 blocks go down to 10 and 11.5 up to 12: rounding half away from zero would give 11 and 12.
  t.deepEqual(smartResize({ height: 336, width: 368 }, bounds), { height: 320, width: 384 });
  t.deepEqual(smartResize({ height: 400, width: 432 }, bounds), { height: 384, width: 448 });
});

test('smartResize shrinks what is too large and grows what is too small', (t) => {
  t.deepEqual(smartResize({ height: 8000, width: 4000 }, bounds), { height: 5792, width: 2880 });
  t.deepEqual(smartResize({ height: 100, width: 100 }, bounds), { height: 256, width: 256 });
});

test('smartResize keeps whole blocks and the bounds, for any image that blocks allow them for', (t) => {
  const side = fc.integer({ min: 64, max: 20_000 });
  t.notThrows(() =>
    fc.assert(
      fc.property(side, side, (height, width) => {
        fc.pre(Math.max(height, width) / Math.min(height, width) <= 50);
        const size = smartResize({ height, width }, bounds);
        return (
          size.height % 32 === 0 &&
          size.width % 32 === 0 &&
          size.height > 0 &&
          size.height * size.width <= bounds.maxPixels &&
          size.height * size.width >= bounds.minPixels
        );
      }),
    ),
  );
});

test('smartResize refuses an image that is a line', (t) => {
  const error = t.throws(() => smartResize({ height: 1, width: 201 }, bounds), { instanceOf: CortexError });
  t.is((error as CortexError).code, 'image_invalid');
});
