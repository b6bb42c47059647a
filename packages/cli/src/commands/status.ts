import { CortexError, readNamedFile, readSecret, type SecretSetting } from '@helexa/core';
import { Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import { sharedFlags } from '../flags.js';
import { fetchModels, getJson, type ListedModel } from '../gateway-client.js';
import { loadGatewaySettings } from '../settings.js';
import { durationInWords, table } from '../table.js';
import { progressInWords } from '../watch-load.js';

interface GatewayHealth {
  readonly status?: string;
  readonly nodes?: { readonly healthy?: number; readonly total?: number };
  readonly neurons?: readonly { readonly name: string; readonly healthy: boolean; readonly reason?: string }[];
}

interface NeuronHealth {
  readonly status?: string;
  readonly uptime_secs?: number;
  readonly activation?: { readonly failed?: readonly { readonly model_id: string; readonly error: string }[] };
  readonly device_faults?: readonly {
    readonly backend?: string;
    readonly state?: string;
    readonly reason?: string;
    readonly restarts?: number;
  }[];
  readonly devices?: readonly Readonly<Record<string, unknown>>[];
  readonly models?: readonly (Readonly<Record<string, unknown>> & { readonly id?: string })[];
}

/** A model as its neuron lists it. */
interface HeldModel {
  readonly id: string;
  readonly status: string;
  readonly progress?: Parameters<typeof progressInWords>[0];
  readonly error?: { readonly code?: string; readonly message?: string };
}

/** One neuron as it answers for itself, or the reason why it does not. */
type NeuronStatus =
  | {
      readonly name: string;
      readonly endpoint: string;
      readonly health: NeuronHealth;
      /** What it holds or is about to. */
      readonly held: readonly HeldModel[];
    }
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
    const gateway = (await getJson('the gateway', flags.endpoint, '/health', { token: flags.key })) as GatewayHealth;
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
      if ('unreachable' in neuron) return [[neuron.name, 'down', '-', '-', '-', '-', neuron.unreachable]];
      const { health, held } = neuron;
      const devices = (health.devices ?? [])
        .map((device) => `${text(device['backend'])} ${text(device['index'])}`)
        .join(', ');
      const up = health.uptime_secs === undefined ? '-' : durationInWords(health.uptime_secs);
      const own = [neuron.name, text(health.status), up, devices || '-'];
      return held.length === 0
        ? [[...own, '-', '-', '-']]
        : held.map((model) => [...own, model.id, model.status, activityOf(model, health)]);
    });
    this.log(`\n${table(['neuron', 'state', 'up for', 'devices', 'model', 'status', 'activity'], rows, styled)}`);
    for (const neuron of neurons) {
      if ('unreachable' in neuron) continue;
      for (const { backend, state, reason, restarts } of neuron.health.device_faults ?? [])
        this.log(
          `${neuron.name}: a device of ${text(backend)} was lost (${text(state)}, restarts ${text(restarts)}): ${text(reason)}`,
        );
    }
  }
}

/** What a model does now: its requests, how far its load is, or why it failed. */
function activityOf({ id, progress, error }: HeldModel, { models = [] }: NeuronHealth): string {
  if (progress) return progressInWords(progress);
  if (error) return text(error.message ?? error.code);
  const load = models.find((model) => model.id === id);
  return load ? `${text(load['in_flight'])} running, ${text(load['queue_depth'])} waiting` : '-';
}

interface AskedNeuron extends SecretSetting {
  readonly name: string;
  readonly endpoint: string;
  /** File of what its certificate is checked against. */
  readonly ca?: string | undefined;
}

async function askNeuron({ name, endpoint, ca: caFile, ...secret }: AskedNeuron): Promise<NeuronStatus> {
  try {
    const token = await readSecret(secret);
    const ca = caFile === undefined ? undefined : String(await readNamedFile(caFile));
    const what = `neuron '${name}'`;
    const health = (await getJson(what, endpoint, '/health', { token, ca })) as NeuronHealth;
    const models = await getJson(what, endpoint, '/models', { token, ca });
    const held = Array.isArray(models) ? (models as HeldModel[]).filter(({ status }) => status !== 'unloaded') : [];
    const failed = (health.activation?.failed ?? []).filter((each) => held.every(({ id }) => id !== each.model_id));
    const absent = failed.map(({ model_id: id, error }) => ({ id, status: 'failed', error: { message: error } }));
    return { name, endpoint, health, held: [...held, ...absent] };
  } catch (error) {
    if (!CortexError.isInstance(error)) throw error;
    return { name, endpoint, unreachable: error.message };
  }
}
