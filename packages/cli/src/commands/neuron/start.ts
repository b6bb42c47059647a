import { startNeuron } from '@helexa/neuron';
import { openBackend, reopenBackend } from '../../backends.js';
import { BaseCommand } from '../../base-command.js';
import { sharedFlags } from '../../flags.js';
import { stderrLogger } from '../../logger.js';
import { loadNeuronSettings } from '../../settings.js';
import { watchSignals } from '../../watch-signals.js';

/** The inference daemon of one host. */
export default class NeuronStart extends BaseCommand {
  static override summary = 'Run the inference daemon of this host.';
  static override description = `Loads the 'default_models' of neuron.toml and serves them until it is told to end.

Settings come from ./neuron.toml, ~/.config/cortex/neuron.toml or /etc/cortex/neuron.toml, whichever is found first, then
from variables such as NEURON_LISTEN. '<%= config.bin %> config show neuron' prints what is in force, and why.`;
  static override examples = [
    { description: 'Run with the configuration found.', command: '<%= config.bin %> neuron start' },
    { description: 'Run with another file.', command: '<%= config.bin %> neuron start --config ./neuron.toml' },
  ];
  static override flags = { config: sharedFlags.config };

  async run(): Promise<void> {
    const { flags } = await this.parse(NeuronStart);
    const watch = watchSignals(process, Date.now, (code) => process.exit(code));
    const { config } = await loadNeuronSettings({ file: flags.config, env: process.env });
    const { architectures } = await this.architectures();
    const backend = openBackend(
      { device: config.device, ...(config.threads === undefined ? {} : { threads: config.threads }) },
      (text) => this.notice(text),
    );
    const neuron = await startNeuron({
      config,
      architectures: [...architectures],
      backends: [backend],
      reopen: reopenBackend(config.threads, (text) => this.notice(text)),
      logger: stderrLogger('neuron', config.log.level),
    });
    try {
      if (this.jsonEnabled()) process.stdout.write(`${JSON.stringify({ url: neuron.url, backend: backend.name })}\n`);
      else this.log(`The neuron answers at ${neuron.url} and computes on ${backend.name}`);
      await watch.first;
    } finally {
      await neuron.close();
      watch.close();
    }
  }
}
