export {
  cliProgram,
  type Ended,
  type ProcessOptions,
  type RunningCortex,
  runCortex,
  runProgram,
  startCortex,
  type UpAddress,
} from './cortex-process.js';
