/** A tensor to be written: its bytes must fit its shape and dtype for the file to be valid. */
export interface SafetensorsTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A safetensors file from a header text and data; nothing is checked. */
export const safetensorsFile = (header: string, data: Uint8Array = new Uint8Array()): Uint8Array => {
  const json = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, data]);
};

/** A valid safetensors file of these tensors, in their order. */
export const makeSafetensors = (
  tensors: readonly SafetensorsTensor[],
  metadata?: Readonly<Record<string, string>>,
): Uint8Array => {
  let offset = 0;
  const entries: [string, unknown][] = metadata ? [['__metadata__', metadata]] : [];
  for (const { name, dtype, shape, bytes } of tensors) {
    entries.push([name, { dtype, shape, data_offsets: [offset, offset + bytes.length] }]);
    offset += bytes.length;
  }
  return safetensorsFile(JSON.stringify(Object.fromEntries(entries)), Buffer.concat(tensors.map(({ bytes }) => bytes)));
};
