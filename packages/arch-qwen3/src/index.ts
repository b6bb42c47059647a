export { qwen3 } from './qwen3.js';
export { qwen3Moe } from './qwen3-moe.js';
