import { CortexError } from '@helexa/core';
import { Args } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';
import { sharedFlags } from '../../flags.js';
import { keyIdOf, openKeyFile, replaceKeys } from '../../keys/key-file.js';
import { withoutKey } from '../../keys/key-text.js';

/** Takes a key out of a configuration. */
export default class KeysRevoke extends BaseCommand {
  static override summary = 'Take a key away.';
  static override description =
    `Removes the entry from the configuration of the gateway; every other line of the file stays as it is. A gateway
that runs refuses the key from the next SIGHUP on; answers under way go on to their end.`;
  static override examples = [
    { description: 'Take one key away.', command: '<%= config.bin %> keys revoke alice-laptop' },
  ];
  static override args = {
    id: Args.string({ required: true, description: "Id of the key, as 'cortex keys list' shows it." }),
  };
  static override flags = { config: sharedFlags.config };

  async run(): Promise<{ key_id: string; file: string }> {
    const { args, flags } = await this.parse(KeysRevoke);
    const opened = await openKeyFile(flags.config);
    const { keys } = opened.config.entitlements;
    const index = keys.findIndex((each) => keyIdOf(each) === args.id);
    if (index === -1) this.refuse('the key', args.id, "an id of 'cortex keys list'");
    const text = withoutKey(opened.text, index);
    if (text === undefined) {
      const reason = "its keys are not written as '[[entitlements.keys]]' tables; edit it by hand";
      throw new CortexError('config_invalid', { where: opened.file, reason });
    }
    await replaceKeys(opened, text, keys.toSpliced(index, 1));
    this.log(`Key '${args.id}' is no longer in ${opened.file}`);
    return { key_id: args.id, file: opened.file };
  }
}
