export { type ByteSource, bytesSource, withFile } from './checkpoint/byte-source.js';
export * from './checkpoint/checkpoint.js';
export { type GgufHeader, parseGgufHeader } from './checkpoint/gguf.js';
export { ggufCount } from './checkpoint/gguf-metadata.js';
export {
  type CheckpointFolder,
  diskFolder,
  isGgufCompanion,
  openCheckpoint,
  openCheckpointIn,
} from './checkpoint/open-checkpoint.js';
export { parseQuant, type QuantFormat } from './checkpoint/quant-name.js';
export { parseSafetensorsHeader, readSafetensorsHeader, type SafetensorsHeader } from './checkpoint/safetensors.js';
export { type Address, formatAddress, isLoopback, parseAddress } from './config/address.js';
export type { EnvironmentValue } from './config/environment.js';
export { type GatewayConfig, gatewayConfigSchema } from './config/gateway-config.js';
export { hubEnvironment, isSecretKey } from './config/hub-environment.js';
export { type LoadConfigOptions, type LoadedConfig, loadConfig, type Origin } from './config/load-config.js';
export {
  type CatalogueEntry,
  loadModelsConfig,
  type ModelsConfig,
  modelsConfigSchema,
} from './config/models-config.js';
export { readNamedFile } from './config/named-file.js';
export { withNamedTokens } from './config/named-tokens.js';
export { type NeuronConfig, neuronConfigSchema } from './config/neuron-config.js';
export { bearerIn, isSameSecret, readSecret, type SecretSetting, sha256 } from './config/secret.js';
export { bodyError } from './errors/body-error.js';
export { catalogue, type ErrorCode, type ErrorDetails, type ErrorRow, type ErrorType } from './errors/catalogue.js';
export { CortexError } from './errors/cortex-error.js';
export * from './errors/envelope.js';
export { LineBatch, type LineBatchOptions } from './text/line-batch.js';
export { editDistance, nearestOf } from './text/nearest.js';
export { type Clock, systemClock } from './time/clock.js';
export * from './wire/anthropic-messages.js';
export * from './wire/chat-chunks.js';
export * from './wire/checkpoints.js';
export * from './wire/epoch.js';
export * from './wire/neuron-api.js';
export * from './wire/openai-chat.js';
export * from './wire/openai-completions.js';
export * from './wire/openai-embeddings.js';
export {
  type ModelEntry,
  type ModelLimit,
  type ModelList,
  type ModelStatus,
  modelList,
  modelStatus,
} from './wire/openai-models.js';
export * from './wire/openai-responses.js';
export * from './wire/sse.js';
