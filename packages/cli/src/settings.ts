import { gatewayConfigSchema, hubEnvironment, loadConfig, neuronConfigSchema, withNamedTokens } from '@helexa/core';

/** Where settings come from beside the file: the environment, and flags that were given. */
export interface SettingsSources {
  readonly file?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly overrides?: Readonly<Record<string, unknown>>;
}

const rest = ({ file, env, overrides }: SettingsSources) => ({
  ...(file === undefined ? {} : { file }),
  env,
  overrides: overrides ?? {},
});

/** Settings of a gateway: cortex.toml, `CORTEX_...`, flags. */
export const loadGatewaySettings = async (sources: SettingsSources) => {
  const loaded = await loadConfig({
    schema: gatewayConfigSchema,
    name: 'cortex',
    envPrefix: 'CORTEX_',
    ...rest(sources),
  });
  return { ...loaded, config: withNamedTokens(loaded.config, sources.env) };
};

/** Settings of a neuron: the variables of the Hugging Face tools, neuron.toml, `NEURON_...`, flags. */
export const loadNeuronSettings = (sources: SettingsSources) =>
  loadConfig({
    schema: neuronConfigSchema,
    name: 'neuron',
    envPrefix: 'NEURON_',
    fallbacks: hubEnvironment(sources.env),
    ...rest(sources),
  });
