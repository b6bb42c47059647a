/** Storage of one ggml tensor type: elements and bytes of a block. */
export interface GgmlType {
  readonly name: string;
  readonly elements: number;
  readonly bytes: number;
}

/** Every ggml tensor type that has a fixed block, by its number in the file. Source: the GGUF specification. */
export const ggmlTypes: ReadonlyMap<number, GgmlType> = new Map(
  (
    [
      [0, 'F32', 1, 4],
      [1, 'F16', 1, 2],
      [2, 'Q4_0', 32, 18],
      [3, 'Q4_1', 32, 20],
      [6, 'Q5_0', 32, 22],
      [7, 'Q5_1', 32, 24],
      [8, 'Q8_0', 32, 34],
      [9, 'Q8_1', 32, 36],
      [10, 'Q2_K', 256, 84],
      [11, 'Q3_K', 256, 110],
      [12, 'Q4_K', 256, 144],
      [13, 'Q5_K', 256, 176],
      [14, 'Q6_K', 256, 210],
      [15, 'Q8_K', 256, 292],
      [16, 'IQ2_XXS', 256, 66],
      [17, 'IQ2_XS', 256, 74],
      [18, 'IQ3_XXS', 256, 98],
      [19, 'IQ1_S', 256, 50],
      [20, 'IQ4_NL', 32, 18],
      [21, 'IQ3_S', 256, 110],
      [22, 'IQ2_S', 256, 82],
      [23, 'IQ4_XS', 256, 136],
      [24, 'I8', 1, 1],
      [25, 'I16', 1, 2],
      [26, 'I32', 1, 4],
      [27, 'I64', 1, 8],
      [28, 'F64', 1, 8],
      [29, 'IQ1_M', 256, 56],
      [30, 'BF16', 1, 2],
      [34, 'TQ1_0', 256, 54],
      [35, 'TQ2_0', 256, 66],
      [39, 'MXFP4', 32, 17],
    ] as const
  ).map(([id, name, elements, bytes]) => [id, { name, elements, bytes }]),
);

/** Numbers of the metadata value types. */
export const ggufValueType = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;

/** Fewest bytes that a value of a type takes in a file. */
export const ggufValueBytes: ReadonlyMap<number, number> = new Map([
  [ggufValueType.u8, 1],
  [ggufValueType.i8, 1],
  [ggufValueType.u16, 2],
  [ggufValueType.i16, 2],
  [ggufValueType.u32, 4],
  [ggufValueType.i32, 4],
  [ggufValueType.f32, 4],
  [ggufValueType.bool, 1],
  [ggufValueType.string, 8],
  [ggufValueType.array, 12],
  [ggufValueType.u64, 8],
  [ggufValueType.i64, 8],
  [ggufValueType.f64, 8],
]);
