export { type CudaBackendOptions, cudaBackend } from './cuda-backend.js';
