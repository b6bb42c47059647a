import { bareJson } from './bare-json.js';
import { markedJson } from './marked-json.js';
import { markedParameters } from './marked-parameters.js';
import type { ToolDialect } from './tool-dialect.js';

/** Every dialect, the more particular ones first. */
export const toolDialects: readonly ToolDialect[] = [markedParameters, markedJson, bareJson];

/** The dialect that a model's chat templates write calls in; null when they write none that is known. */
export const chooseDialect = (templateText: string): ToolDialect | null =>
  toolDialects.find((dialect) => dialect.isWrittenBy(templateText)) ?? null;
