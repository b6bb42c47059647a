export { qwen3 } from './qwen3.js';
