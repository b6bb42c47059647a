import { startGateway } from '@helexa/gateway';
import { BaseCommand } from '../base-command.js';
import { sharedFlags } from '../flags.js';
import { stderrLogger } from '../logger.js';
import { loadGatewaySettings } from '../settings.js';
import { openService } from '../systemd/open-service.js';
import { watchSignals } from '../watch-signals.js';

/** The gateway alone, in front of neurons that run elsewhere. */
export default class Serve extends BaseCommand {
  static override summary = 'Run the gateway in front of a fleet of neurons.';
  static override description =
    `Presents the neurons of cortex.toml as one OpenAI compatible address until it is told to end.

Settings come from ./cortex.toml, ~/.config/cortex/cortex.toml or /etc/cortex/cortex.toml, whichever is found first, then
from variables such as CORTEX_GATEWAY__LISTEN. '<%= config.bin %> config show gateway' prints what is in force, and why.

The model catalogue that 'models_config' names is read again when it changes, and on SIGHUP. SIGHUP also takes up keys that
were added or taken away; other settings count from the next start.`;
  static override examples = [
    { description: 'Run with the configuration found.', command: '<%= config.bin %> serve' },
    { description: 'Run with another file.', command: '<%= config.bin %> serve --config ./fleet.toml' },
  ];
  static override flags = { config: sharedFlags.config };

  async run(): Promise<void> {
    const { flags } = await this.parse(Serve);
    const watch = watchSignals(process, Date.now, (code) => process.exit(code));
    const readConfig = async () => (await loadGatewaySettings({ file: flags.config, env: process.env })).config;
    const config = await readConfig();
    const log = stderrLogger('gateway', config.log.level);
    const gateway = await startGateway({ config, readConfig, logger: log });
    const service = openService(log, `${gateway.url}/health`, () => `Serving at ${gateway.url}/v1`);
    service.ready();
    const reload = (): void => void gateway.reload();
    process.on('SIGHUP', reload);
    try {
      if (this.jsonEnabled())
        process.stdout.write(`${JSON.stringify({ url: gateway.url, metricsUrl: gateway.metricsUrl })}\n`);
      else this.log(`The gateway answers at ${gateway.url}/v1, its metrics at ${gateway.metricsUrl}/metrics`);
      await watch.first;
    } finally {
      process.off('SIGHUP', reload);
      await service.stopping();
      await gateway.close();
      service.close();
      watch.close();
    }
  }
}
