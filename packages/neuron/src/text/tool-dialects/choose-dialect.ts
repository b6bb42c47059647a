import { hermesJson } from './hermes-json.js';
import { llama3Json } from './llama3-json.js';
import { qwenParameters } from './qwen-parameters.js';
import type { ToolDialect } from './tool-dialect.js';

/** Every dialect, the more particular ones first. */
export const toolDialects: readonly ToolDialect[] = [qwenParameters, hermesJson, llama3Json];

/** The dialect that a model's chat templates write calls in; null when they write none that is known. */
export const chooseDialect = (templateText: string): ToolDialect | null =>
  toolDialects.find((dialect) => dialect.isWrittenBy(templateText)) ?? null;
