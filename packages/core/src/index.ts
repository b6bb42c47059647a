export { type ByteSource, bytesSource, withFile } from './checkpoint/byte-source.js';
export * from './checkpoint/checkpoint.js';
export { type GgufHeader, parseGgufHeader } from './checkpoint/gguf.js';
export { openCheckpoint } from './checkpoint/open-checkpoint.js';
export { parseSafetensorsHeader, readSafetensorsHeader, type SafetensorsHeader } from './checkpoint/safetensors.js';
export { catalogue, type ErrorCode, type ErrorDetails, type ErrorRow, type ErrorType } from './errors/catalogue.js';
export { CortexError } from './errors/cortex-error.js';
export * from './errors/envelope.js';
