import { CortexError } from '../errors/cortex-error.js';
import type { GatewayConfig } from './gateway-config.js';

/** The configuration with the tokens that stand in environment variables. */
export const withNamedTokens = (
  config: GatewayConfig,
  env: Readonly<Record<string, string | undefined>>,
): GatewayConfig => ({
  ...config,
  neurons: config.neurons.map((neuron) => {
    const { token_env: name } = neuron;
    if (name === undefined) return neuron;
    const token = env[name];
    if (token) return { ...neuron, token };
    const reason = `neuron '${neuron.name}' has its token in this variable, and it is not set`;
    throw new CortexError('config_invalid', { where: name, reason });
  }),
});
