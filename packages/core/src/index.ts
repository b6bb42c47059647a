export * from './checkpoint/checkpoint.js';
export { catalogue, type ErrorCode, type ErrorDetails, type ErrorRow, type ErrorType } from './errors/catalogue.js';
export { CortexError } from './errors/cortex-error.js';
export * from './errors/envelope.js';
