import { CortexError, type GatewayConfig, type NeuronConfig } from '@helexa/core';
import { type RunningGateway, startGateway } from '@helexa/gateway';
import type { Architecture, Backend } from '@helexa/graph';
import { type RunningNeuron, startNeuron } from '@helexa/neuron';
import { getJson } from './gateway-client.js';
import { type LogGate, stderrLogger } from './logger.js';

export interface StackOptions {
  readonly gateway: GatewayConfig;
  readonly neuron: NeuronConfig;
  readonly architectures: readonly Architecture[];
  readonly backends: readonly Backend[];
  /** Makes a backend of this name anew when its device is lost. */
  readonly reopen?: (name: string) => Backend;
  /** Holds back log lines of both daemons; absent: none are. */
  readonly logGate?: LogGate;
}

/** One neuron and one gateway in front of it, in this process. Owner: whoever started it. */
export interface RunningStack {
  readonly url: string;
  readonly neuronUrl: string;
  readonly metricsUrl: string;
  /** Loads a model, or joins its load, and settles when the gateway serves it. */
  loadModel(id: string): Promise<void>;
  /** Ends the gateway first, so that no request reaches a neuron that is going away, then the neuron. */
  close(): Promise<void>;
}

/** Starts a neuron, then a gateway that knows only it; undoes the first when the second fails. */
export async function startStack(options: StackOptions): Promise<RunningStack> {
  const neuron: RunningNeuron = await startNeuron({
    config: options.neuron,
    architectures: [...options.architectures],
    backends: [...options.backends],
    ...(options.reopen ? { reopen: options.reopen } : {}),
    logger: stderrLogger('neuron', options.neuron.log.level, options.logGate),
  });
  let gateway: RunningGateway;
  try {
    gateway = await startGateway({
      config: { ...options.gateway, neurons: [{ name: 'local', endpoint: neuron.url, ...ownNeuron(options.neuron) }] },
      logger: stderrLogger('gateway', options.gateway.log.level, options.logGate),
    });
  } catch (error) {
    await neuron.close();
    throw error;
  }
  const { poll_interval_ms: pollIntervalMs, poll_timeout_ms: pollTimeoutMs } = options.gateway.gateway;
  return {
    url: gateway.url,
    neuronUrl: neuron.url,
    metricsUrl: gateway.metricsUrl,
    async loadModel(id) {
      await neuron.loadModel(id);
      await untilServed(gateway.url, id, 2 * (pollIntervalMs + pollTimeoutMs));
    },
    async close() {
      await gateway.close();
      await neuron.close();
    },
  };
}

/** How the gateway reaches the neuron of the same configuration. */
const ownNeuron = ({ token, token_file, tls_cert: ca }: NeuronConfig) => ({
  ...(token === undefined ? {} : { token }),
  ...(token_file === undefined ? {} : { token_file }),
  ...(ca === undefined ? {} : { ca }),
});

interface GatewayHealth {
  readonly neurons?: readonly { readonly models: readonly { readonly id: string; readonly status: string }[] }[];
}

const lookAgainMs = 20;

/** The gateway learns of a model by asking its neuron now and then; waits until it has. */
async function untilServed(url: string, id: string, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    // The one page that needs no key.
    const { neurons = [] } = (await getJson('the gateway', url, '/health')) as GatewayHealth;
    if (neurons.some(({ models }) => models.some((model) => model.id === id && model.status === 'loaded'))) return;
    if (Date.now() > deadline)
      throw new CortexError('request_timeout', { what: `the gateway to list '${id}'`, timeoutMs });
    await new Promise((resolve) => setTimeout(resolve, lookAgainMs));
  }
}
