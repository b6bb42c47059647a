export { type CpuBackendOptions, cpuBackend } from './cpu-backend.js';
