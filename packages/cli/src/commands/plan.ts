import { Args } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import { sharedFlags } from '../flags.js';
import { postJson } from '../gateway-client.js';
import { type FleetPlan, planInWords } from '../plan-in-words.js';

/** Exit code of what may be had at another time. */
const unavailable = 69;

/** What a request for a model would cause. */
export default class Plan extends BaseCommand {
  static override summary = 'Tell what a request for a model would cause, without doing it.';
  static override description =
    `Asks the gateway where the model is ready, which load a request would wait for, or where it would be loaded: what would
have to leave for it, how long that takes by the loads before, and why. A model that cannot be had ends with exit code 69.
Nothing is loaded, nothing leaves.`;
  static override examples = [
    { description: 'At the gateway of this machine.', command: '<%= config.bin %> plan Qwen/Qwen3-8B' },
    {
      description: 'At another gateway, by an alias, as JSON.',
      command: '<%= config.bin %> plan small --endpoint http://gate:31313 --json',
    },
  ];
  static override args = {
    model: Args.string({ required: true, description: 'Id or alias of the model.' }),
  };
  static override flags = { endpoint: sharedFlags.endpoint, key: sharedFlags.key };

  async run(): Promise<FleetPlan> {
    const { args, flags } = await this.parse(Plan);
    const access = { token: flags.key };
    const plan = (await postJson(
      'the gateway',
      flags.endpoint,
      '/fleet/plan',
      { model: args.model },
      access,
    )) as FleetPlan;
    for (const line of planInWords(plan)) this.log(line);
    if (plan.action === 'refuse') process.exitCode = unavailable;
    return plan;
  }
}
