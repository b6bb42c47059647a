export {
  cliProgram,
  type Ended,
  type ProcessOptions,
  type RunningCortex,
  runCortex,
  startCortex,
  type UpAddress,
} from './cortex-process.js';
