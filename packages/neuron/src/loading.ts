/** What loads a model and steps it without the daemon around it: the little that a command that serves nobody has to read. */
export {
  type SampledToken,
  type SamplingParameters,
  type StepRows,
  StepWriter,
  type VisualRows,
} from './engine/step-writer.js';
export type { RequestedLimits } from './model/limits.js';
export { type LoadedModel, type LoadModelOptions, loadModel, type PlannedModel, planModel } from './model/loader.js';
export type { UploadProgress } from './model/upload.js';
