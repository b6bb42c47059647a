import { startNeuron } from '@helexa/neuron';
import { backendMakers, openBackend, reopenBackend } from '../../backends.js';
import { BaseCommand } from '../../base-command.js';
import { sharedFlags } from '../../flags.js';
import { stderrLogger } from '../../logger.js';
import { neuronInWords } from '../../neuron-in-words.js';
import { loadNeuronSettings } from '../../settings.js';
import { openService } from '../../systemd/open-service.js';
import { watchSignals } from '../../watch-signals.js';

/** The inference daemon of one host. */
export default class NeuronStart extends BaseCommand {
  static override summary = 'Run the inference daemon of this host.';
  static override description = [
    `Loads the 'default_models' of neuron.toml and serves them until it is told to end.`,
    `Settings come from ./neuron.toml, ~/.config/cortex/neuron.toml or /etc/cortex/neuron.toml, whichever is found first, then from variables such as NEURON_LISTEN. '<%= config.bin %> config show neuron' prints what is in force, and why.`,
    `SIGTERM or Ctrl-C ends it in order: nothing new is taken, requests under way have 'drain_ms' to end, models are freed. A second one ends it at once.`,
    `As a service of systemd it says when it is ready, what it loads and that it is alive; the units are in examples/systemd.`,
  ].join('\n\n');
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
    const makers = await backendMakers();
    const warn = (text: string) => this.notice(text);
    const { device, threads } = config;
    const backend = openBackend({ device, ...(threads === undefined ? {} : { threads }) }, warn, makers);
    const log = stderrLogger('neuron', config.log.level);
    const neuron = await startNeuron({
      config,
      architectures: [...architectures],
      backends: [backend],
      reopen: reopenBackend(threads, warn, makers),
      logger: log,
    });
    const service = openService(log, `${neuron.url}/version`, () => neuronInWords(neuron.summary));
    service.ready();
    try {
      if (this.jsonEnabled()) process.stdout.write(`${JSON.stringify({ url: neuron.url, backend: backend.name })}\n`);
      else this.log(`The neuron answers at ${neuron.url} and computes on ${backend.name}`);
      await watch.first;
    } finally {
      await service.stopping();
      await neuron.close();
      service.close();
      watch.close();
    }
    // A device thread that never lets go must not outlive an orderly end.
    process.exit(0);
  }
}
