export { type HookOutcome, type InstalledArchitectures, readArchitectures } from './architectures.js';
export { type BackendMakers, type BackendRequest, backendMakers, type DeviceName, openBackend } from './backends.js';
export { type FoundModel, findModel } from './find-model.js';
export { type RunningStack, type StackOptions, startStack } from './stack.js';
