import { isSecretKey, type Origin } from '@helexa/core';
import { Args } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';
import { sharedFlags } from '../../flags.js';
import { loadGatewaySettings, loadNeuronSettings } from '../../settings.js';

interface Shown {
  readonly file: string | null;
  readonly config: unknown;
  readonly origins: Readonly<Record<string, string>>;
}

/** The settings in force and where each comes from. */
export default class ConfigShow extends BaseCommand {
  static override summary = 'Print the settings in force, each with its origin.';
  static override description =
    `An origin is the default, a line of the file, or a variable of the environment; later ones win. Tokens are not shown.`;
  static override examples = [
    { description: 'Settings of the gateway.', command: '<%= config.bin %> config show gateway' },
    { description: 'Settings of the neuron, as JSON.', command: '<%= config.bin %> config show neuron --json' },
  ];
  static override args = {
    daemon: Args.option({ options: ['gateway', 'neuron'] as const })({
      default: 'gateway',
      description: 'Whose settings.',
    }),
  };
  static override flags = { config: sharedFlags.config };

  async run(): Promise<Shown> {
    const { args, flags } = await this.parse(ConfigShow);
    const load = args.daemon === 'neuron' ? loadNeuronSettings : loadGatewaySettings;
    const { config, origins, file } = await load({ file: flags.config, env: process.env });
    const shown = withoutSecrets(config);
    for (const [name, origin] of origins)
      this.log(`${name} = ${JSON.stringify(valueAt(shown, name))}  # ${wordsOf(origin)}`);
    return {
      file: file ?? null,
      config: shown,
      origins: Object.fromEntries([...origins].map(([name, origin]) => [name, wordsOf(origin)])),
    };
  }
}

/** The settings with every secret replaced by a word that only says it is set. */
const withoutSecrets = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, isSecretKey(key) ? '(set)' : withoutSecrets(inner)]),
  );
};

const valueAt = (config: unknown, name: string): unknown =>
  name.split('.').reduce((table, key) => (table as Record<string, unknown>)[key], config);

function wordsOf(origin: Origin): string {
  switch (origin.kind) {
    case 'default':
      return 'default';
    case 'file':
      return origin.line === undefined ? origin.file : `${origin.file}, line ${origin.line}`;
    case 'environment':
      return origin.name;
    case 'flag':
      return 'flag';
  }
}
