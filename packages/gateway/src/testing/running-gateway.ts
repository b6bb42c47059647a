import { type GatewayConfig, gatewayConfigSchema } from '@helexa/core';
import { type FakeNeuron, type FakeNeuronOptions, startFakeNeuron } from '@helexa/core/testing';
import type { ExecutionContext } from 'ava';
import { pino } from 'pino';
import { type RunningGateway, startGateway } from '../gateway.js';

/**
 * A gateway before fake neurons, all closed with the test; tables of the configuration as they stand in its file. Neurons of
 * the configuration come after the fake ones.
 */
export const runGateway = async (
  t: ExecutionContext,
  options: Readonly<Record<string, FakeNeuronOptions>>,
  config: Readonly<Record<string, unknown>> = {},
  readConfig?: () => Promise<GatewayConfig>,
): Promise<{ readonly gateway: RunningGateway; readonly neurons: Readonly<Record<string, FakeNeuron>> }> => {
  const neurons: Record<string, FakeNeuron> = {};
  for (const [name, option] of Object.entries(options)) neurons[name] = await startFakeNeuron(option);
  const parsed = gatewayConfigSchema.parse({
    ...config,
    gateway: {
      listen: '127.0.0.1:0',
      metrics_listen: '127.0.0.1:0',
      poll_interval_ms: 600_000,
      ...(config['gateway'] as object | undefined),
    },
    neurons: [
      ...Object.entries(neurons).map(([name, { url }]) => ({ name, endpoint: url })),
      ...((config['neurons'] as readonly object[] | undefined) ?? []),
    ],
  });
  const gateway = await startGateway({
    config: parsed,
    // A busy machine takes its time; what is to be slow in a test is a neuron.
    firstLookMs: 20_000,
    logger: pino({ level: 'silent' }),
    ...(readConfig ? { readConfig } : {}),
  });
  t.teardown(async () => {
    await gateway.close();
    await Promise.all(Object.values(neurons).map((neuron) => neuron.close()));
  });
  return { gateway, neurons };
};

/** A chat request on a connection of its own. */
export const post = (
  { url }: RunningGateway,
  body: object,
  headers: Readonly<Record<string, string>> = {},
  path = '/v1/chat/completions',
): Promise<Response> =>
  fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close', ...headers },
    body: JSON.stringify(body),
  });

export const errorOf = async (response: Response): Promise<{ code: string; message: string; type: string }> =>
  ((await response.json()) as { error: { code: string; message: string; type: string } }).error;
