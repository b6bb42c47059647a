export * from './architecture.js';
export * from './backend.js';
export * from './builder.js';
export * from './opcodes.js';
export * from './program.js';
export * from './step.js';
export * from './value.js';
export * from './weights.js';
