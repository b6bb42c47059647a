export * from './architecture.suite.js';
export * from './backend.suite.js';
export * from './fill-device.js';
export * from './hook.suite.js';
export * from './mutations.js';
export * from './random-checkpoint.js';
export * from './scripted-model.js';
export * from './write-chunks.js';
