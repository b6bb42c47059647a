import { walkJson } from './walk-json.js';

const quote = 0x22;

/**
 * Puts another model into a request, byte for byte the same otherwise. The body is known to be JSON with an object
 * outermost; of a key that stands there twice both are replaced, whichever the neuron reads.
 */
export const spliceModel = (body: Buffer, model: string): Buffer => {
  const pieces: Buffer[] = [];
  const replacement = Buffer.from(JSON.stringify(model));
  let copied = 0;
  walkJson(body, (key, start, end) => {
    if (key !== 'model' || body[start] !== quote) return;
    pieces.push(body.subarray(copied, start), replacement);
    copied = end;
  });
  return Buffer.concat([...pieces, body.subarray(copied)]);
};
