import { FileWriter, type PlannedTensor } from './file-writer.js';
import type { RandomWords } from './random-words.js';

/** Writes random tensors as one safetensors file. */
export function writeSafetensors(path: string, tensors: readonly PlannedTensor[], random: RandomWords): void {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const { tensor, format, bytes } of tensors) {
    header[tensor.name] = { dtype: format, shape: tensor.shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  const json = JSON.stringify(header);
  const padded = new TextEncoder().encode(json.padEnd(Math.ceil(json.length / 8) * 8));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.length), true);
  const writer = new FileWriter(path);
  try {
    writer.write(length);
    writer.write(padded);
    for (const tensor of tensors) writer.writeRandom(tensor, random);
  } finally {
    writer.close();
  }
}
