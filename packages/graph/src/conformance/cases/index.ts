import type { BackendCase } from '../case.js';
import { attentionCases } from './attention.js';
import { collectiveCases } from './collective.js';
import { elementwiseCases } from './elementwise.js';
import { expertCases } from './experts.js';
import { hybridCases } from './hybrid.js';
import { linearCases } from './linear.js';
import { normCases } from './norm.js';
import { samplingCases } from './sampling.js';
import { visionCases } from './vision.js';

/** Every case a backend is held to, as far as it has the ops. */
export const backendCases: readonly BackendCase[] = [
  ...elementwiseCases,
  ...normCases,
  ...linearCases,
  ...attentionCases,
  ...hybridCases,
  ...expertCases,
  ...visionCases,
  ...collectiveCases,
  ...samplingCases,
];
