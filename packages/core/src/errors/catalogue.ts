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
  | 'insufficient_quota'
  | 'api_error';

export interface ErrorRow<Details> {
  /** HTTP status. */
  readonly status: number;
  /** Process exit code: 2 usage or configuration, 65 bad data, 66 missing input, 69 unavailable, 70 internal, 75 try again. */
  readonly exit: number;
  readonly type: ErrorType;
  readonly message: (details: Details) => string;
  readonly suggestion?: (details: Details) => string | undefined;
  /** `code` on the wire, where clients expect a well-known one; the row's own name otherwise. */
  readonly wireCode?: string;
  /** `param` on the wire: the request field at fault. */
  readonly param?: (details: Details) => string | undefined;
  /** Seconds after which a retry is worth while; absent for an error that a retry cannot cure. */
  readonly retryAfterSeconds?: (details: Details) => number | undefined;
  /** Further keys inside `error` on the wire, for programs. */
  readonly wire?: (details: Details) => Readonly<Record<string, unknown>>;
  /** Further response headers, lower case. */
  readonly headers?: (details: Details) => Readonly<Record<string, string>>;
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
    param: () => 'model',
    wire: (d) => ({ model_id: d.model }),
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
    message: (d) =>
      `Cannot load architecture '${d.name}': installed plugins serve ${d.known.map((k) => `'${k}'`).join(', ') || 'none'}`,
    suggestion: (d) => (d.plugin ? `Run: cortex plugins install ${d.plugin}` : undefined),
    wire: (d) => ({
      kind: d.plugin ? 'plugin_missing' : 'unsupported_architecture',
      model_type: d.name,
      supported: d.known,
      ...(d.plugin ? { plugin: d.plugin } : {}),
    }),
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
  tokenizer_invalid: row<{ file: string; reason: string }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot read tokenizer '${d.file}': ${d.reason}`,
  }),
  tokenizer_unsupported: row<{ file: string; part: string; value: string; supported: readonly string[] }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) =>
      `Cannot use tokenizer '${d.file}': ${d.part} is '${d.value}'; supported are ${d.supported.join(', ')}`,
  }),
  text_too_long: row<{ characters: number; max: number }>({
    status: 413,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot encode text: it has ${d.characters} characters; at most ${d.max} are wanted`,
  }),
  template_invalid: row<{ source: string; line: number; reason: string }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot read chat template '${d.source}' at line ${d.line}: ${d.reason}`,
  }),
  template_render_failed: row<{ source: string; line: number; reason: string }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot render chat template '${d.source}' at line ${d.line}: ${d.reason}`,
  }),
  cannot_shard: row<{ slot: string; ranks: number; have: string; want: string; works?: readonly number[] }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot shard '${d.slot}' over ${d.ranks} ranks: ${d.have}; ${d.want}`,
    suggestion: (d) => (d.works?.length ? `Use ${d.works.map((ranks) => `--tp ${ranks}`).join(' or ')}` : undefined),
    wire: (d) => ({ kind: 'cannot_shard', tp_size: d.ranks, works: d.works ?? [] }),
  }),
  quant_unknown: row<{ name: string; known: readonly string[]; nearest?: string }>({
    status: 400,
    exit: 2,
    type: 'invalid_request_error',
    message: (d) => `Cannot quantise to '${d.name}': it is no known format; one of ${d.known.join(', ')} is wanted`,
    suggestion: (d) => (d.nearest === undefined ? undefined : `Did you mean '${d.nearest}'?`),
    param: () => 'quant',
  }),
  cannot_quantise: row<{ what: string; format: string; have: string; want: string }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot quantise '${d.what}' to ${d.format}: ${d.have}; ${d.want}`,
    param: () => 'quant',
  }),
  graph_invalid: row<{ node: string; reason: string }>({
    status: 500,
    exit: 70,
    type: 'api_error',
    message: (d) => `Cannot compile graph at '${d.node}': ${d.reason}`,
  }),
  op_unsupported: row<{ node: string; op: string; backend: string }>({
    status: 422,
    exit: 69,
    type: 'invalid_request_error',
    message: (d) =>
      `Cannot run '${d.node}' on backend '${d.backend}': it has no op '${d.op}'; choose a backend that has it`,
  }),
  program_invalid: row<{ instruction: number; reason: string }>({
    status: 500,
    exit: 70,
    type: 'api_error',
    message: (d) => `Cannot accept program at instruction ${d.instruction}: ${d.reason}`,
  }),
  weight_bytes: row<{ format: string; reason: string }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot convert weights of format '${d.format}': ${d.reason}`,
  }),
  upload_invalid: row<{ tensor: string; reason: string }>({
    status: 500,
    exit: 70,
    type: 'api_error',
    message: (d) => `Cannot upload weight '${d.tensor}': ${d.reason}`,
  }),
  step_invalid: row<{ field: string; reason: string }>({
    status: 500,
    exit: 70,
    type: 'api_error',
    message: (d) => `Cannot run step: '${d.field}' ${d.reason}`,
  }),
  backend_unavailable: row<{ backend: string; reason: string }>({
    status: 503,
    exit: 69,
    type: 'api_error',
    message: (d) => `Cannot use backend '${d.backend}': ${d.reason}`,
  }),
  checkpoint_missing: row<{ path: string; reason: string }>({
    status: 404,
    exit: 66,
    type: 'invalid_request_error',
    message: (d) => `Cannot open checkpoint '${d.path}': ${d.reason}`,
  }),
  config_missing: row<{ file: string; reason: string }>({
    status: 500,
    exit: 66,
    type: 'api_error',
    message: (d) => `Cannot read config '${d.file}': ${d.reason}`,
  }),
  config_invalid: row<{ where: string; line?: number; column?: number; reason: string; nearest?: string }>({
    status: 500,
    exit: 2,
    type: 'api_error',
    message: (d) => {
      const line = d.line === undefined ? '' : `, line ${d.line}`;
      const column = d.column === undefined ? '' : `, column ${d.column}`;
      return `Cannot use config '${d.where}'${line}${column}: ${d.reason}`;
    },
    suggestion: (d) => (d.nearest ? `Did you mean '${d.nearest}'?` : undefined),
  }),
  flag_invalid: row<{ flag: string; value: string; want: string }>({
    status: 500,
    exit: 2,
    type: 'invalid_request_error',
    message: (d) => `Cannot use ${d.flag} '${d.value}': ${d.want} is wanted`,
  }),
  endpoint_unreachable: row<{ what: string; url: string; reason: string }>({
    status: 502,
    exit: 69,
    type: 'api_error',
    message: (d) => `Cannot reach ${d.what} at '${d.url}': ${d.reason}`,
    suggestion: (d) => (d.what === 'the gateway' ? 'Start one with: cortex up' : undefined),
  }),
  /** A server answered a command of ours with an error; status 200 means inside the stream. */
  request_refused: row<{ url: string; status: number; reason: string }>({
    status: 502,
    exit: 69,
    type: 'api_error',
    message: (d) => `Cannot use the answer of '${d.url}' (status ${d.status}): ${d.reason}`,
  }),
  port_in_use: row<{ address: string; setting: string }>({
    status: 500,
    exit: 69,
    type: 'api_error',
    message: (d) => `Cannot listen on '${d.address}': the port is in use`,
    suggestion: (d) => `Stop the process that holds the port, or set '${d.setting}' to another address`,
  }),
  listen_failed: row<{ address: string; setting: string; reason: string }>({
    status: 500,
    exit: 69,
    type: 'api_error',
    message: (d) => `Cannot listen on '${d.address}': ${d.reason}`,
    suggestion: (d) => `Set '${d.setting}' to an address of this host`,
  }),
  malformed_json: row<{ reason: string }>({
    status: 400,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot parse request body: ${d.reason}; JSON in UTF-8 is wanted`,
  }),
  grammar_unsupported: row<{ param: string; keyword: string; path: string; reason: string }>({
    status: 400,
    exit: 2,
    type: 'invalid_request_error',
    message: (d) => `Cannot enforce '${d.keyword}' at '${d.path}' of field '${d.param}': ${d.reason}`,
    param: (d) => d.param,
  }),
  grammar_unusable: row<{ param: string; reason: string }>({
    status: 400,
    exit: 2,
    type: 'invalid_request_error',
    message: (d) => `Cannot enforce field '${d.param}': ${d.reason}`,
    param: (d) => d.param,
  }),
  invalid_request_body: row<{ param?: string; reason: string }>({
    status: 400,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot use ${d.param ? `field '${d.param}'` : 'request body'}: ${d.reason}`,
    param: (d) => d.param,
  }),
  missing_model_field: row<Record<string, never>>({
    status: 400,
    exit: 65,
    type: 'invalid_request_error',
    message: () => `Cannot route request: field 'model' is absent; the id of a model is wanted, as a string`,
    param: () => 'model',
  }),
  unsupported_media_type: row<{ mediaType: string; wanted: string }>({
    status: 415,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot read a body of type '${d.mediaType}': '${d.wanted}' is wanted`,
  }),
  unsupported_encoding: row<{ encoding: string }>({
    status: 415,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot read a body in encoding '${d.encoding}': an uncompressed body is wanted`,
  }),
  body_too_large: row<{ limitBytes: number }>({
    status: 413,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot accept request body: it is larger than the limit of ${d.limitBytes} bytes`,
    wire: (d) => ({ limit_bytes: d.limitBytes }),
  }),
  headers_too_large: row<{ limitBytes: number }>({
    status: 431,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot accept request headers: they are larger than the limit of ${d.limitBytes} bytes`,
  }),
  malformed_http: row<{ reason: string }>({
    status: 400,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot parse HTTP request: ${d.reason}`,
  }),
  request_timeout: row<{ what: string; timeoutMs: number }>({
    status: 408,
    exit: 75,
    type: 'invalid_request_error',
    message: (d) => `Cannot wait longer for ${d.what}: it took over ${d.timeoutMs} ms`,
  }),
  route_not_found: row<{ method: string; path: string }>({
    status: 404,
    exit: 66,
    type: 'invalid_request_error',
    message: (d) => `Cannot find route '${d.method} ${d.path}'`,
  }),
  method_not_allowed: row<{ method: string; path: string; allowed: readonly string[] }>({
    status: 405,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot use method '${d.method}' on '${d.path}': ${d.allowed.join(', ')} is wanted`,
    headers: (d) => ({ allow: d.allowed.join(', ') }),
  }),
  invalid_api_key: row<{ reason: string }>({
    status: 401,
    exit: 2,
    type: 'authentication_error',
    message: (d) => `Cannot authenticate request: ${d.reason}`,
  }),
  /** The key is known, but not for this. */
  key_not_allowed: row<{ what: string }>({
    status: 403,
    exit: 2,
    type: 'permission_error',
    message: (d) => `Cannot use ${d.what}: this key is not allowed to`,
  }),
  /** A balance is used up: no wait brings it back. */
  insufficient_quota: row<{ requested: number; available: number }>({
    status: 429,
    exit: 69,
    type: 'insufficient_quota',
    message: (d) => `Cannot accept request: it may use ${d.requested} tokens; ${d.available} are left of the budget`,
    wire: (d) => ({ requested: d.requested, available: d.available }),
  }),
  /** `setting` is what the address stands under: its daemon decides what is wanted. */
  listen_without_keys: row<{ address: string; setting: string }>({
    status: 500,
    exit: 2,
    type: 'api_error',
    message: (d) => `Cannot listen on '${d.address}': other hosts could use it, and no key is asked for`,
    suggestion: (d) =>
      d.setting === 'listen'
        ? `Set 'token' in neuron.toml and at the gateway; or set 'allow_unauthenticated' to serve everybody`
        : `Add [[entitlements.keys]] and set 'entitlements.require_auth' in cortex.toml; or set 'gateway.allow_unauthenticated' to serve everybody`,
  }),
  /** What keys have used cannot be kept where the configuration says. */
  ledger_unavailable: row<{ where: string; reason: string }>({
    status: 500,
    exit: 69,
    type: 'api_error',
    message: (d) => `Cannot keep budgets in '${d.where}': ${d.reason}`,
  }),
  library_missing: row<{ library: string; setting: string }>({
    status: 500,
    exit: 69,
    type: 'api_error',
    message: (d) => `Cannot use '${d.setting}': library '${d.library}' is not installed`,
    suggestion: (d) => `Run: npm install ${d.library}`,
  }),
  wrong_modality: row<{ model: string; reason: string }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot serve request with model '${d.model}': ${d.reason}`,
    wire: (d) => ({ model_id: d.model }),
  }),
  /** One caller asks too often. */
  rate_limit_exceeded: row<{ reason: string; retryAfterSeconds: number }>({
    status: 429,
    exit: 75,
    type: 'rate_limit_error',
    message: (d) => `Cannot accept request now: ${d.reason}`,
    retryAfterSeconds: (d) => d.retryAfterSeconds,
  }),
  /** The request alone needs more memory than the model's whole budget. */
  prompt_too_long_for_memory: row<{ requiredBytes: number; budgetBytes: number }>({
    status: 413,
    exit: 65,
    type: 'invalid_request_error',
    wireCode: 'prompt_too_long_for_vram',
    message: (d) =>
      `Cannot accept prompt: its key-value cache needs ${d.requiredBytes} bytes; the budget of the model is ${d.budgetBytes}`,
    wire: (d) => ({
      required_mb: Math.ceil(d.requiredBytes / 2 ** 20),
      budget_mb: Math.floor(d.budgetBytes / 2 ** 20),
    }),
  }),
  insufficient_memory: row<{ requiredBytes: number; freeBytes: number; retryAfterSeconds: number }>({
    status: 503,
    exit: 75,
    type: 'api_error',
    wireCode: 'insufficient_vram',
    message: (d) => `Cannot accept request now: it needs ${d.requiredBytes} bytes of memory; ${d.freeBytes} are free`,
    retryAfterSeconds: (d) => d.retryAfterSeconds,
    wire: (d) => ({ required_mb: Math.ceil(d.requiredBytes / 2 ** 20), free_mb: Math.floor(d.freeBytes / 2 ** 20) }),
  }),
  /** The model is known, but not ready to answer. */
  model_not_ready: row<{ model: string; status: string; retryAfterSeconds: number }>({
    status: 503,
    exit: 75,
    type: 'api_error',
    message: (d) => `Cannot use model '${d.model}' now: its status is '${d.status}'; 'loaded' is wanted`,
    retryAfterSeconds: (d) => d.retryAfterSeconds,
    wire: (d) => ({ model_id: d.model, model_status: d.status }),
  }),
  model_not_loaded: row<{ model: string; nodes: readonly string[] }>({
    status: 503,
    exit: 69,
    type: 'api_error',
    message: (d) =>
      `Cannot use model '${d.model}': it is present but not loaded on ${d.nodes.map((n) => `'${n}'`).join(', ') || 'any node'}`,
    suggestion: () =>
      `Load it with POST /models/load on the neuron, list it under 'default_models' in neuron.toml, or give it an entry in models.toml`,
    wire: (d) => ({ model_id: d.model }),
  }),
  /** No neuron could hold the model, even if nothing else were there. */
  model_unplaceable: row<{ model: string; reason: string }>({
    status: 422,
    exit: 69,
    type: 'invalid_request_error',
    message: (d) => `Cannot place model '${d.model}': ${d.reason}`,
    suggestion: () => `Change its entry in models.toml, or add a neuron`,
    wire: (d) => ({ model_id: d.model }),
  }),
  /** Neurons that could hold the model are configured, but are not ready to be asked. */
  placement_unavailable: row<{ model: string; nodes: readonly string[] }>({
    status: 503,
    exit: 75,
    type: 'api_error',
    wireCode: 'service_unavailable',
    message: (d) =>
      `Cannot place model '${d.model}' now: ${d.nodes.map((n) => `'${n}'`).join(', ')} could hold it and does not answer`,
    retryAfterSeconds: () => 3,
    wire: (d) => ({ model_id: d.model }),
  }),
  /** Models of higher priority fill every place that the model could have. */
  no_room_for_model: row<{ model: string; nodes: readonly string[] }>({
    status: 503,
    exit: 69,
    type: 'api_error',
    message: (d) =>
      `Cannot load model '${d.model}': models that it may not displace fill ${d.nodes.map((n) => `'${n}'`).join(', ')}`,
    suggestion: () => `Raise its 'residency_priority' in models.toml, or unload one of them`,
    wire: (d) => ({ model_id: d.model }),
  }),
  model_load_failed: row<{ model: string; reason: string; retryAfterSeconds?: number }>({
    status: 503,
    exit: 75,
    type: 'api_error',
    message: (d) => `Cannot load model '${d.model}': ${d.reason}`,
    retryAfterSeconds: (d) => d.retryAfterSeconds,
    wire: (d) => ({ model_id: d.model }),
  }),
  /** The neuron will say the same again: the model itself is at fault. */
  model_load_refused: row<{ model: string; reason: string }>({
    status: 422,
    exit: 69,
    type: 'invalid_request_error',
    message: (d) => `Cannot load model '${d.model}': ${d.reason}`,
    wire: (d) => ({ model_id: d.model }),
  }),
  /** The request waited for a model as long as it may. */
  model_wait_expired: row<{ model: string; waitedMs: number; why: string; retryAfterSeconds: number }>({
    status: 503,
    exit: 75,
    type: 'api_error',
    wireCode: 'service_unavailable',
    message: (d) => `Cannot wait longer for model '${d.model}': ${d.why} after ${d.waitedMs} ms`,
    retryAfterSeconds: (d) => d.retryAfterSeconds,
    wire: (d) => ({ model_id: d.model, estimated_seconds: Math.ceil(d.retryAfterSeconds) }),
  }),
  /** Every neuron that has the model has stopped answering. */
  model_unreachable: row<{ model: string; nodes: readonly string[] }>({
    status: 503,
    exit: 75,
    type: 'api_error',
    wireCode: 'service_unavailable',
    message: (d) =>
      `Cannot use model '${d.model}' now: ${d.nodes.map((n) => `'${n}'`).join(', ')} had it and does not answer`,
    retryAfterSeconds: () => 3,
    wire: (d) => ({ model_id: d.model }),
  }),
  model_in_use: row<{ model: string; inFlight: number }>({
    status: 409,
    exit: 75,
    type: 'invalid_request_error',
    message: (d) => `Cannot unload model '${d.model}': ${d.inFlight} requests use it`,
    retryAfterSeconds: () => 5,
  }),
  /** Somebody else has loaded or unloaded a model since the caller looked: it has to look again. */
  epoch_stale: row<{ have: string; want: string }>({
    status: 409,
    exit: 75,
    type: 'invalid_request_error',
    message: (d) => `Cannot change models of epoch '${d.want}': the epoch of this neuron is '${d.have}'`,
    suggestion: () => 'Read GET /models again, and decide anew',
    wire: (d) => ({ epoch: d.have }),
  }),
  no_healthy_node: row<{ nodes: number }>({
    status: 503,
    exit: 75,
    type: 'api_error',
    wireCode: 'service_unavailable',
    message: (d) =>
      d.nodes === 0
        ? 'Cannot route request: no neuron is configured; at least one is wanted'
        : `Cannot route request: none of ${d.nodes} neurons answers; at least one is wanted`,
    suggestion: (d) =>
      d.nodes === 0 ? `Add a [[neurons]] entry to cortex.toml` : `Start a neuron, or check 'neurons' in cortex.toml`,
    retryAfterSeconds: () => 5,
  }),
  shutting_down: row<Record<string, never>>({
    status: 503,
    exit: 75,
    type: 'api_error',
    message: () => 'Cannot accept request: this process is shutting down',
    retryAfterSeconds: () => 15,
  }),
  upstream_unreachable: row<{ node: string }>({
    status: 502,
    exit: 69,
    type: 'api_error',
    message: (d) => `Cannot reach neuron '${d.node}': the connection failed before it answered`,
    suggestion: () => 'The log of the gateway has the cause',
    wire: (d) => ({ node: d.node }),
  }),
  upstream_failed: row<{ node: string; reason: string }>({
    status: 502,
    exit: 69,
    type: 'api_error',
    message: (d) => `Cannot use the answer of neuron '${d.node}': ${d.reason}`,
    wire: (d) => ({ node: d.node }),
  }),
  stream_interrupted: row<{ node: string; reason: string }>({
    status: 502,
    exit: 69,
    type: 'api_error',
    message: (d) => `Cannot finish the stream from neuron '${d.node}': ${d.reason}; the answer above is incomplete`,
    wire: (d) => ({ node: d.node }),
  }),
  out_of_memory: row<{ what: string; wantBytes: number; haveBytes: number }>({
    status: 503,
    exit: 69,
    type: 'api_error',
    message: (d) => `Cannot allocate ${d.what}: it needs ${d.wantBytes} bytes; ${d.haveBytes} are available`,
  }),
  model_does_not_fit: row<{ what: string; wantBytes: number; haveBytes: number; remedies?: readonly string[] }>({
    status: 422,
    exit: 69,
    type: 'invalid_request_error',
    message: (d) => `Cannot fit ${d.what}: it needs ${d.wantBytes} bytes; ${d.haveBytes} are free`,
    suggestion: (d) => (d.remedies?.length ? d.remedies.join('; or ') : undefined),
    wire: (d) => ({
      kind: 'insufficient_vram_for_load',
      required_mb: Math.ceil(d.wantBytes / 2 ** 20),
      free_mb: Math.floor(d.haveBytes / 2 ** 20),
    }),
  }),
  source_unknown: row<{ model: string; scheme: string; known: readonly string[] }>({
    status: 400,
    exit: 2,
    type: 'invalid_request_error',
    message: (d) =>
      `Cannot fetch model '${d.model}': source '${d.scheme}' is unknown; known are ${d.known.map((k) => `'${k}'`).join(', ')}`,
    suggestion: () => `Add an entry to 'hub.sources' of neuron.toml`,
  }),
  repo_not_found: row<{ model: string; endpoint: string }>({
    status: 422,
    exit: 66,
    type: 'invalid_request_error',
    message: (d) => `Cannot find model '${d.model}': the registry '${d.endpoint}' does not have it`,
    suggestion: () => 'Check the spelling; a private repository is only shown to those who have a token for it',
    wire: (d) => ({ kind: 'repo_not_found', model_id: d.model }),
  }),
  repo_unauthorised: row<{ model: string; endpoint: string; hasToken: boolean }>({
    status: 422,
    exit: 69,
    type: 'invalid_request_error',
    message: (d) =>
      `Cannot read model '${d.model}': the registry '${d.endpoint}' ${d.hasToken ? 'refuses the token' : 'wants a token, and none is set'}`,
    suggestion: () => `Set HF_TOKEN, or 'hub.token_file' in neuron.toml`,
    wire: (d) => ({ kind: 'repo_unauthorised', model_id: d.model }),
  }),
  repo_forbidden: row<{ model: string; endpoint: string; isGated: boolean }>({
    status: 422,
    exit: 69,
    type: 'invalid_request_error',
    message: (d) =>
      `Cannot read model '${d.model}': ${d.isGated ? 'it is gated, and this token has no access' : `the registry '${d.endpoint}' does not allow it`}`,
    suggestion: (d) => (d.isGated ? `Accept the terms of the model at ${d.endpoint}/${d.model}` : undefined),
    wire: (d) => ({ kind: 'repo_forbidden', model_id: d.model }),
  }),
  /** Passing: the network, or the registry's own trouble. */
  repo_fetch_failed: row<{ model: string; cause: string; file?: string }>({
    status: 422,
    exit: 75,
    type: 'api_error',
    message: (d) => `Cannot fetch ${d.file ? `'${d.file}' of ` : ''}model '${d.model}': ${d.cause}`,
    wire: (d) => ({ kind: 'repo_fetch_failed', model_id: d.model, cause: d.cause }),
  }),
  empty_repo: row<{ model: string }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot load model '${d.model}': its repository has no .safetensors and no .gguf file`,
    wire: (d) => ({ kind: 'empty_repo', model_id: d.model }),
  }),
  repo_unsupported: row<{ model: string; reason: string }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot load model '${d.model}': ${d.reason}`,
    wire: (d) => ({ kind: 'repo_unsupported', model_id: d.model }),
  }),
  quant_not_found: row<{ model: string; requested: string; available: readonly string[]; nearest: string | null }>({
    status: 422,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) =>
      `Cannot find quantisation '${d.requested}' of model '${d.model}': it has ${d.available.map((name) => `'${name}'`).join(', ')}`,
    suggestion: (d) => (d.nearest === null ? undefined : `Did you mean '${d.nearest}'?`),
    wire: (d) => ({
      kind: 'quant_not_found',
      model_id: d.model,
      requested: d.requested,
      available: d.available,
      nearest: d.nearest,
    }),
  }),
  download_corrupt: row<{ model: string; file: string; reason: string }>({
    status: 422,
    exit: 65,
    type: 'api_error',
    message: (d) => `Cannot keep '${d.file}' of model '${d.model}': ${d.reason}; nothing of it was kept`,
    wire: (d) => ({ kind: 'download_corrupt', model_id: d.model }),
  }),
  disk_full: row<{ folder: string; wantBytes: number; haveBytes: number }>({
    status: 422,
    exit: 69,
    type: 'api_error',
    message: (d) => `Cannot download into '${d.folder}': ${d.wantBytes} bytes are wanted; ${d.haveBytes} are free`,
    suggestion: () => `Free some space, or set 'hub.cache_dir' of neuron.toml to another disk`,
    wire: (d) => ({ kind: 'disk_full', required_mb: Math.ceil(d.wantBytes / 2 ** 20) }),
  }),
  /** The cache itself is not what it should be: permissions, or files where folders are wanted. */
  cache_unusable: row<{ folder: string; reason: string }>({
    status: 422,
    exit: 69,
    type: 'api_error',
    message: (d) => `Cannot use model cache '${d.folder}': ${d.reason}`,
    suggestion: () => `Set 'hub.cache_dir' of neuron.toml, or HF_HUB_CACHE, to a folder that can be written`,
    wire: () => ({ kind: 'cache_unusable' }),
  }),
  model_id_invalid: row<{ model: string; reason: string }>({
    status: 400,
    exit: 2,
    type: 'invalid_request_error',
    message: (d) =>
      `Cannot use model id '${d.model}': ${d.reason}; a name or 'org/name' below a models folder is wanted`,
  }),
  model_failed: row<{ model: string; reason: string }>({
    status: 503,
    exit: 69,
    type: 'api_error',
    message: (d) => `Cannot serve model '${d.model}': ${d.reason}`,
    suggestion: (d) => `Unload and load it again: POST /models/unload, then /models/load with model_id '${d.model}'`,
    wire: (d) => ({ model_id: d.model }),
  }),
  device_count_mismatch: row<{ ranks: number; devices: readonly number[] }>({
    status: 422,
    exit: 2,
    type: 'invalid_request_error',
    message: (d) =>
      `Cannot divide a model over ${d.ranks} ranks: devices [${d.devices.join(', ')}] are named; one for each rank is wanted`,
    param: () => 'devices',
    wire: (d) => ({ kind: 'device_count_mismatch', tp_size: d.ranks, devices: d.devices }),
  }),
  device_not_found: row<{ device: number; backend: string; known: readonly number[] }>({
    status: 422,
    exit: 2,
    type: 'invalid_request_error',
    message: (d) =>
      `Cannot use device ${d.device} of backend '${d.backend}': it has ${d.known.length === 0 ? 'none' : d.known.join(', ')}`,
    param: () => 'devices',
    wire: (d) => ({ kind: 'device_not_found', known: d.known }),
  }),
  job_not_found: row<{ job: string }>({
    status: 404,
    exit: 66,
    type: 'invalid_request_error',
    message: (d) => `Cannot find load '${d.job}': it is unknown, or ended long ago`,
    suggestion: () => 'GET /jobs lists the loads that are known',
  }),
  /** A model holds its device beyond the time that freeing may take. */
  unload_stalled: row<{ model: string; timeoutMs: number }>({
    status: 503,
    exit: 70,
    type: 'api_error',
    message: (d) => `Cannot unload model '${d.model}': its device did not let go of it within ${d.timeoutMs} ms`,
    suggestion: () => `Restart the neuron if it stays so: GET /models shows when the model is gone`,
    wire: (d) => ({ model_id: d.model }),
  }),
  /** The one code by which a backend says that the device itself is gone, and everything on it. */
  device_lost: row<{ backend: string; reason: string }>({
    status: 503,
    exit: 70,
    type: 'api_error',
    message: (d) => `Cannot use device of backend '${d.backend}': it is lost: ${d.reason}`,
    retryAfterSeconds: () => 15,
  }),
  /** A device failed again and again: an operator has to look. */
  restarts_exhausted: row<{ model: string; restarts: number; windowMs: number; reason: string }>({
    status: 503,
    exit: 70,
    type: 'api_error',
    message: (d) =>
      `Cannot bring model '${d.model}' back: ${d.restarts} restarts within ${d.windowMs} ms did not help: ${d.reason}`,
    suggestion: (d) => `Look at the device, then: POST /models/load with model_id '${d.model}'`,
    wire: (d) => ({ model_id: d.model }),
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
    param: () => 'messages',
    wire: (d) => ({ prompt_len: d.prompt_len, max: d.max }),
  }),
  unsupported_parameter: row<{ parameter: string; value: string; supported: string }>({
    status: 400,
    exit: 2,
    type: 'invalid_request_error',
    message: (d) => `Cannot honour parameter '${d.parameter}': ${d.value} is not supported; ${d.supported}`,
    param: (d) => d.parameter,
  }),
  /** Only our own neurons count tokens. */
  tokens_uncountable: row<{ model: string }>({
    status: 404,
    exit: 69,
    type: 'invalid_request_error',
    message: (d) => `Cannot count tokens for model '${d.model}': the server that has it cannot count them`,
    suggestion: () => 'Read the usage of an answer instead, or have a neuron serve the model',
    wire: (d) => ({ model_id: d.model }),
  }),
  vision_unsupported: row<{ model_id: string }>({
    status: 400,
    exit: 2,
    type: 'invalid_request_error',
    message: (d) => `Cannot read images: model '${d.model_id}' takes text only; send text parts`,
    wire: (d) => ({ model_id: d.model_id }),
  }),
  image_invalid: row<{ reason: string }>({
    status: 400,
    exit: 65,
    type: 'invalid_request_error',
    message: (d) => `Cannot read image: ${d.reason}`,
    param: () => 'messages',
  }),
  engine_queue_full: row<{ model: string; waiting: number; retryAfterSeconds: number }>({
    status: 503,
    exit: 75,
    type: 'rate_limit_error',
    message: (d) =>
      `Cannot queue request: ${d.waiting} requests already wait for model '${d.model}'; try again in ${d.retryAfterSeconds} s`,
    wireCode: 'rate_limit_exceeded',
    retryAfterSeconds: (d) => d.retryAfterSeconds,
    wire: (d) => ({ model_id: d.model }),
  }),
  queue_timeout: row<{ model: string; waitedMs: number; retryAfterSeconds: number }>({
    status: 503,
    exit: 75,
    type: 'rate_limit_error',
    message: (d) =>
      `Cannot serve request: model '${d.model}' was busy for the ${d.waitedMs} ms that it waited; try again in ${d.retryAfterSeconds} s`,
    wireCode: 'rate_limit_exceeded',
    retryAfterSeconds: (d) => d.retryAfterSeconds,
    wire: (d) => ({ model_id: d.model }),
  }),
  /** Callers that nobody vouches for get what the others leave. */
  anonymous_yield: row<{ model: string; retryAfterSeconds: number }>({
    status: 503,
    exit: 75,
    type: 'rate_limit_error',
    message: (d) =>
      `Cannot queue request: what model '${d.model}' has left for callers without a key is taken; a key or another attempt in ${d.retryAfterSeconds} s is wanted`,
    wireCode: 'rate_limit_exceeded',
    retryAfterSeconds: (d) => d.retryAfterSeconds,
    wire: (d) => ({ model_id: d.model }),
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
  device_stalled: row<{ model: string; timeoutMs: number }>({
    status: 500,
    exit: 70,
    type: 'api_error',
    message: (d) => `Cannot continue generation: a step of model '${d.model}' did not end within ${d.timeoutMs} ms`,
    wire: (d) => ({ model_id: d.model }),
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
export type ErrorDetails<Code extends ErrorCode> =
  (typeof catalogue)[Code] extends ErrorRow<infer Details> ? Details : never;

export const errorRow = (code: ErrorCode): ErrorRow<never> => catalogue[code] as unknown as ErrorRow<never>;
