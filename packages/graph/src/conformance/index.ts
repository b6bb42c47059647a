export * from './architecture.suite.js';
export * from './backend.suite.js';
export { type BackendCase, type CaseStep, rowsStep } from './case.js';
export { backendCases } from './cases/index.js';
export * from './fill-device.js';
export * from './hook.suite.js';
export * from './mutations.js';
export * from './random-checkpoint.js';
export {
  type CasePrograms,
  fuseCase,
  lowerCase,
  readAnswer,
  runCase,
  type StepAnswer,
  uploadAll,
  writeStep,
} from './run-case.js';
export * from './scripted-model.js';
export * from './write-chunks.js';
