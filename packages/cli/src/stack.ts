import type { GatewayConfig, NeuronConfig } from '@helexa/core';
import { type RunningGateway, startGateway } from '@helexa/gateway';
import type { Architecture, Backend } from '@helexa/graph';
import { type RunningNeuron, startNeuron } from '@helexa/neuron';

export interface StackOptions {
  readonly gateway: GatewayConfig;
  readonly neuron: NeuronConfig;
  readonly architectures: readonly Architecture[];
  readonly backends: readonly Backend[];
}

/** One neuron and one gateway in front of it, in this process. Owner: whoever started it. */
export interface RunningStack {
  readonly url: string;
  readonly neuronUrl: string;
  readonly metricsUrl: string;
  loadModel(id: string): Promise<void>;
  /** Ends the gateway first, so that no request reaches a neuron that is going away, then the neuron and its backends. */
  close(): Promise<void>;
}

/** Starts a neuron, then a gateway that knows only it; undoes the first when the second fails. */
export async function startStack(options: StackOptions): Promise<RunningStack> {
  const neuron: RunningNeuron = await startNeuron({
    config: options.neuron,
    architectures: [...options.architectures],
    backends: [...options.backends],
  });
  let gateway: RunningGateway;
  try {
    gateway = await startGateway({
      config: { ...options.gateway, neurons: [{ name: 'local', endpoint: neuron.url }] },
    });
  } catch (error) {
    await neuron.close();
    throw error;
  }
  return {
    url: gateway.url,
    neuronUrl: neuron.url,
    metricsUrl: gateway.metricsUrl,
    loadModel: (id) => neuron.loadModel(id),
    async close() {
      await gateway.close();
      await neuron.close();
    },
  };
}
