export { type CpuBackendOptions, cpuBackend } from './cpu-backend.js';
export { renderOpcodesHeader } from './generate-opcodes.js';
