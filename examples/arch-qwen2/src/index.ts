export { qwen2 } from './qwen2.js';
