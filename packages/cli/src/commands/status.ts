import { CortexError, readSecret, type SecretSetting } from '@helexa/core';
import { Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import { sharedFlags } from '../flags.js';
import { fetchModels, getJson, type ListedModel } from '../gateway-client.js';
import { loadGatewaySettings } from '../settings.js';
import { table } from '../table.js';

interface GatewayHealth {
  readonly status?: string;
  readonly nodes?: { readonly healthy?: number; readonly total?: number };
  readonly neurons?: readonly { readonly name: string; readonly healthy: boolean; readonly reason?: string }[];
}

interface NeuronHealth {
  readonly uptime_secs?: number;
  readonly devices?: readonly Readonly<Record<string, unknown>>[];
  readonly models?: readonly (Readonly<Record<string, unknown>> & { readonly id?: string })[];
}

/** One neuron as it answers for itself, or the reason why it does not. */
type NeuronStatus =
  | { readonly name: string; readonly endpoint: string; readonly health: NeuronHealth }
  | { readonly name: string; readonly endpoint: string; readonly unreachable: string };

interface Status {
  readonly endpoint: string;
  readonly gateway: GatewayHealth;
  readonly models: readonly ListedModel[];
  readonly neurons: readonly NeuronStatus[];
}

const text = (value: unknown): string =>
  value === undefined || value === null ? '-' : typeof value === 'string' ? value : JSON.stringify(value);

/** What a fleet looks like right now. */
export default class StatusCommand extends BaseCommand {
  static override summary = 'Show the gateway, its models, its neurons and their load.';
  static override description =
    `Asks the gateway, then every neuron of cortex.toml or of --neuron. A neuron that does not answer is shown as such;
a gateway that does not answer is an error.`;
  static override examples = [
    { description: 'The gateway of this machine.', command: '<%= config.bin %> status' },
    {
      description: 'Another gateway and one of its neurons, as JSON.',
      command: '<%= config.bin %> status --endpoint http://gate:31313 --neuron http://host-a:13131 --json',
    },
  ];
  static override flags = {
    endpoint: sharedFlags.endpoint,
    key: sharedFlags.key,
    config: sharedFlags.config,
    neuron: Flags.string({ multiple: true, summary: 'Address of a neuron to ask; by default those of cortex.toml.' }),
  };

  async run(): Promise<Status> {
    const { flags } = await this.parse(StatusCommand);
    const gateway = (await getJson('the gateway', flags.endpoint, '/health', flags.key)) as GatewayHealth;
    const models = await fetchModels(flags.endpoint, flags.key);
    const { config } = await loadGatewaySettings({ file: flags.config, env: process.env });
    const own = config.neurons.filter(({ kind }) => kind !== 'openai');
    const asked: readonly AskedNeuron[] =
      flags.neuron?.map((endpoint) => ({ name: new URL(endpoint).host, endpoint })) ?? own;
    const neurons = await Promise.all(asked.map(askNeuron));
    const status: Status = { endpoint: flags.endpoint, gateway, models, neurons };
    this.print(status);
    return status;
  }

  private print({ endpoint, gateway, models, neurons }: Status): void {
    const styled = process.stdout.isTTY === true;
    const { healthy, total } = gateway.nodes ?? {};
    this.log(`gateway ${endpoint}: ${text(gateway.status)}, ${text(healthy)} of ${text(total)} neurons answer`);
    for (const neuron of gateway.neurons ?? [])
      if (!neuron.healthy) this.log(`  ${neuron.name} does not answer: ${text(neuron.reason)}`);
    const places = (model: ListedModel): string =>
      (Array.isArray(model['locations']) ? (model['locations'] as { node?: string; status?: string }[]) : [])
        .map((place) => `${place.node}(${place.status})`)
        .join(', ') || '-';
    const context = (model: ListedModel): string => text((model['limit'] as { context?: number } | undefined)?.context);
    this.log(
      `\n${table(
        ['model', 'context', 'where'],
        models.map((model) => [model.id, context(model), places(model)]),
        styled,
      )}`,
    );
    if (neurons.length === 0) return;
    const rows = neurons.flatMap((neuron) => {
      if ('unreachable' in neuron) return [[neuron.name, 'down', '-', '-', '-', neuron.unreachable]];
      const devices =
        (neuron.health.devices ?? []).map((device) => text(device['name'] ?? device['index'])).join(', ') || '-';
      const loaded = neuron.health.models ?? [];
      const up = `${text(neuron.health.uptime_secs)} s`;
      return loaded.length === 0
        ? [[neuron.name, 'up', up, devices, '-', '-']]
        : loaded.map((model) => [
            neuron.name,
            'up',
            up,
            devices,
            text(model.id),
            `${text(model['in_flight'])} running, ${text(model['queue_depth'])} waiting`,
          ]);
    });
    this.log(`\n${table(['neuron', 'state', 'since', 'devices', 'model', 'load'], rows, styled)}`);
  }
}

interface AskedNeuron extends SecretSetting {
  readonly name: string;
  readonly endpoint: string;
}

async function askNeuron({ name, endpoint, ...secret }: AskedNeuron): Promise<NeuronStatus> {
  try {
    const token = await readSecret(secret);
    return { name, endpoint, health: (await getJson(`neuron '${name}'`, endpoint, '/health', token)) as NeuronHealth };
  } catch (error) {
    if (!CortexError.isInstance(error)) throw error;
    return { name, endpoint, unreachable: error.message };
  }
}
