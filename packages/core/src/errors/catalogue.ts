/**
 * Every error of cortex, in one table. A code is never renamed: clients and scripts depend on it.
 *
 * Grammar of a message: "Cannot <action>: <what is>; <what is wanted>", no final period, values in single quotes.
 */

/** `type` field of an OpenAI error body. */
export type ErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'rate_limit_error'
  | 'api_error';

export interface ErrorRow<Details> {
  /** HTTP status. */
  readonly status: number;
  /** Process exit code: 2 usage or configuration, 65 bad data, 66 missing input, 69 unavailable, 70 internal, 75 try again. */
  readonly exit: number;
  readonly type: ErrorType;
  readonly message: (details: Details) => string;
  readonly suggestion?: (details: Details) => string | undefined;
}

const row = <Details>(spec: ErrorRow<Details>): ErrorRow<Details> => spec;

export const catalogue = {
  internal_error: row<{ reason: string }>({
    status: 500,
    exit: 70,
    type: 'api_error',
    message: (d) => `Cannot continue: ${d.reason}`,
    suggestion: () => 'This is a defect of cortex: please report it with the log around this line',
  }),
  model_not_found: row<{ model: string; available?: readonly string[] }>({
    status: 404,
    exit: 66,
    type: 'invalid_request_error',
    message: (d) => `Cannot find model '${d.model}'`,
    suggestion: (d) => (d.available?.length ? `Available models: ${d.available.join(', ')}` : undefined),
  }),
  checkpoint_invalid: row<{ file: string; reason: string }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot read checkpoint '${d.file}': ${d.reason}`,
  }),
  model_config_invalid: row<{ file: string; reason: string }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot use model config '${d.file}': ${d.reason}`,
  }),
  architecture_unknown: row<{ name: string; known: readonly string[]; plugin?: string }>({
    status: 422,
    exit: 69,
    type: 'invalid_request_error',
    message: (d) => `Cannot load architecture '${d.name}': installed plugins serve ${d.known.map((k) => `'${k}'`).join(', ') || 'none'}`,
    suggestion: (d) => (d.plugin ? `Run: cortex plugins install ${d.plugin}` : undefined),
  }),
  architecture_contract: row<{ name: string; reason: string }>({
    status: 500,
    exit: 70,
    type: 'api_error',
    message: (d) => `Cannot use architecture plugin '${d.name}': ${d.reason}`,
  }),
  tensor_missing: row<{ tensor: string; slot: string }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot fill weight '${d.slot}': tensor '${d.tensor}' is not in the checkpoint`,
  }),
  tensor_unexpected: row<{ tensors: readonly string[] }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) =>
      `Cannot load checkpoint: ${d.tensors.length} tensors belong to no weight, first '${d.tensors[0]}'; every tensor must be consumed or on the ignore list`,
  }),
  tensor_shape: row<{ tensor: string; actual: readonly number[]; expected: readonly number[] }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) =>
      `Cannot load tensor '${d.tensor}': its shape is [${d.actual.join(', ')}]; the config wants [${d.expected.join(', ')}]`,
  }),
  tensor_format: row<{ tensor: string; format: string; supported: readonly string[] }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot load tensor '${d.tensor}': format '${d.format}'; supported are ${d.supported.join(', ')}`,
  }),
  cannot_shard: row<{ slot: string; ranks: number; have: string; want: string }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot shard '${d.slot}' over ${d.ranks} ranks: ${d.have}; ${d.want}`,
  }),
  graph_invalid: row<{ node: string; reason: string }>({
    status: 500,
    exit: 70,
    type: 'api_error',
    message: (d) => `Cannot compile graph at '${d.node}': ${d.reason}`,
  }),
  program_invalid: row<{ instruction: number; reason: string }>({
    status: 500,
    exit: 70,
    type: 'api_error',
    message: (d) => `Cannot accept program at instruction ${d.instruction}: ${d.reason}`,
  }),
  backend_unavailable: row<{ backend: string; reason: string }>({
    status: 503,
    exit: 69,
    type: 'api_error',
    message: (d) => `Cannot use backend '${d.backend}': ${d.reason}`,
  }),
  out_of_memory: row<{ what: string; wantBytes: number; haveBytes: number }>({
    status: 503,
    exit: 69,
    type: 'api_error',
    message: (d) => `Cannot allocate ${d.what}: it needs ${d.wantBytes} bytes; ${d.haveBytes} are available`,
  }),
  model_id_invalid: row<{ model: string; reason: string }>({
    status: 400,
    exit: 2,
    type: 'invalid_request_error',
    message: (d) => `Cannot use model id '${d.model}': ${d.reason}; a name or 'org/name' below a models folder is wanted`,
  }),
  model_loading: row<{ model: string }>({
    status: 503,
    exit: 75,
    type: 'api_error',
    message: (d) => `Cannot serve model '${d.model}': it is still loading; try again shortly`,
  }),
  model_failed: row<{ model: string; reason: string }>({
    status: 503,
    exit: 69,
    type: 'api_error',
    message: (d) => `Cannot serve model '${d.model}': ${d.reason}`,
    suggestion: (d) => `Unload and load it again: POST /models/unload, then /models/load with model_id '${d.model}'`,
  }),
  model_spec_conflict: row<{ model: string; have: string; want: string }>({
    status: 409,
    exit: 2,
    type: 'invalid_request_error',
    message: (d) => `Cannot load model '${d.model}' with ${d.want}: it is loaded with ${d.have}; unload it first`,
  }),
  context_length_exceeded: row<{ prompt_len: number; max: number }>({
    status: 400,
    exit: 2,
    type: 'invalid_request_error',
    // OpenAI's own phrase: clients compact their history when they read it.
    message: (d) =>
      `Cannot accept prompt: This model's maximum context length is ${d.max} tokens. However, your messages resulted in ${d.prompt_len} tokens; shorten the messages`,
  }),
  unsupported_parameter: row<{ parameter: string; value: string; supported: string }>({
    status: 400,
    exit: 2,
    type: 'invalid_request_error',
    message: (d) => `Cannot honour parameter '${d.parameter}': ${d.value} is not supported; ${d.supported}`,
  }),
  vision_unsupported: row<{ model_id: string }>({
    status: 400,
    exit: 2,
    type: 'invalid_request_error',
    message: (d) => `Cannot read images: model '${d.model_id}' takes text only; send text parts`,
  }),
  template_render_failed: row<{ reason: string }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot render chat template: ${d.reason}`,
  }),
  engine_queue_full: row<{ model: string; waiting: number }>({
    status: 503,
    exit: 75,
    type: 'rate_limit_error',
    message: (d) => `Cannot queue request: ${d.waiting} requests already wait for model '${d.model}'; try again shortly`,
  }),
  logits_unhealthy: row<{ model: string }>({
    status: 500,
    exit: 70,
    type: 'api_error',
    message: (d) => `Cannot choose a token: model '${d.model}' produced a NaN or an infinity`,
  }),
  device_failed: row<{ model: string; reason: string }>({
    status: 500,
    exit: 70,
    type: 'api_error',
    message: (d) => `Cannot continue generation: the device of model '${d.model}' failed: ${d.reason}`,
  }),
  request_cancelled: row<{ reason: string }>({
    status: 499,
    exit: 75,
    type: 'api_error',
    message: (d) => `Cannot finish: it was cancelled: ${d.reason}`,
  }),
  disposed: row<{ what: string }>({
    status: 503,
    exit: 70,
    type: 'api_error',
    message: (d) => `Cannot use ${d.what}: it was disposed`,
  }),
} as const;

export type ErrorCode = keyof typeof catalogue;
export type ErrorDetails<Code extends ErrorCode> = (typeof catalogue)[Code] extends ErrorRow<infer Details> ? Details : never;

export const errorRow = (code: ErrorCode): ErrorRow<never> => catalogue[code] as unknown as ErrorRow<never>;
