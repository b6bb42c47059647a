export { renderOpcodesHeader } from './generate-opcodes.js';
