import { arch, hostname, type as osType, platform, release } from 'node:os';
import { CortexError } from '@helexa/core';
import { type ControlContext, mebibytes } from './control.js';
import { type Exchange, sendJson } from './exchange.js';

/** 0: not measured yet. */
const roundedSpeed = (tokensPerSecond: number | null): number => Math.round((tokensPerSecond ?? 0) * 10) / 10;

/** `GET /discovery`: facts of this host. */
export function discovery(exchange: Exchange, context: ControlContext): void {
  const contexts = context.table.ready.map((model) => model.engine.limit.input);
  sendJson(exchange, 200, {
    hostname: hostname(),
    os: `${osType()} ${arch()}`,
    kernel: release(),
    platform: platform(),
    devices: context.devices().map(({ index, name, memoryBytes, capability, backend }) => ({
      index,
      name,
      backend,
      vram_total_mb: mebibytes(memoryBytes),
      compute_capability: capability,
    })),
    device_faults: faultsOf(context),
    harnesses: ['cortex'],
    max_prompt_tokens: Math.max(0, ...contexts),
  });
}

/** The last fault of each device, and what became of it. */
const faultsOf = ({ table }: ControlContext) =>
  table.faults.map(({ backend, state, reason, atMs, restarts }) => ({
    backend,
    state,
    reason,
    at: Math.floor(atMs / 1000),
    restarts,
  }));

/** What a monitor should know at a glance: `failed` wants an operator, `impaired` is a model that does not serve. */
function statusOf({ table, activation }: ControlContext): 'ok' | 'recovering' | 'impaired' | 'failed' | 'stopping' {
  if (table.isClosed) return 'stopping';
  const kinds = new Set(table.rows.map(({ state }) => state.kind));
  if (kinds.has('stuck') || table.faults.some(({ state }) => state === 'failed')) return 'failed';
  if (kinds.has('recovering')) return 'recovering';
  return kinds.has('failed') || activation().failed.length > 0 ? 'impaired' : 'ok';
}

/** `GET /ready`: 200 once the models of the configuration were tried, 503 before that and while the neuron ends. */
export function ready(exchange: Exchange, context: ControlContext): void {
  const { state, pending } = context.activation();
  if (context.table.isClosed) throw new CortexError('shutting_down', {});
  if (state === 'ready') sendJson(exchange, 200, { status: state });
  else sendJson(exchange, 503, { status: state, pending }, { 'retry-after': '2' });
}

/** `GET /health`: the load of every model and the memory of every device. */
export function health(exchange: Exchange, context: ControlContext): void {
  sendJson(exchange, 200, {
    status: statusOf(context),
    uptime_secs: Math.floor((context.clock.now() - context.startedMs) / 1000),
    device_faults: faultsOf(context),
    devices: context.devices().map(({ index, backend, memoryBytes, freeBytes }) => ({
      index,
      backend,
      vram_used_mb: mebibytes(memoryBytes - freeBytes),
      vram_free_mb: mebibytes(freeBytes),
    })),
    activation: context.activation(),
    models: context.table.ready.map(({ id, engine, facts }) => {
      const { running, waiting, slots, pages, limits, anonymousRunning, rejections, ...speed } = engine.load;
      const pageBytes = facts.kvBytesPerToken * 64;
      const total = pages.free + pages.cached + pages.used;
      return {
        id,
        in_flight: running,
        queue_depth: waiting,
        max_in_flight: slots,
        max_queue_depth: limits.maxWaiting,
        anon_in_flight: anonymousRunning,
        anon_max_in_flight: limits.anonMaxRunning,
        ...Object.fromEntries(Object.entries(rejections).map(([reason, count]) => [`rejected_${reason}`, count])),
        tok_s_prefill: roundedSpeed(speed.prefillTokensPerSecond),
        tok_s_decode: roundedSpeed(speed.decodeTokensPerSecond),
        kv_budget_mb: mebibytes(total * pageBytes),
        kv_available_mb: mebibytes((total - pages.used - pages.reserved) * pageBytes),
        kv_pages: { total, ...pages },
      };
    }),
  });
}

/** `GET /version`. */
export function version(exchange: Exchange, context: ControlContext): void {
  sendJson(exchange, 200, {
    package_version: context.version,
    git_sha: 'unknown',
    target: `${arch()}-${platform()}`,
    node_version: process.versions.node,
  });
}
