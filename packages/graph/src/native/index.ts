export * from './binding.js';
export { renderOpcodesHeader } from './generate-opcodes.js';
export { NativeBackend, type NativeBackendOptions } from './native-backend.js';
export { type NativeErrorContext, toCortexError } from './native-error.js';
export { nativeSpec, weightFormats } from './native-spec.js';
