import { BaseCommand } from '../../base-command.js';
import { sharedFlags } from '../../flags.js';
import { type KeyEntry, keyIdOf, openKeyFile } from '../../keys/key-file.js';
import { table } from '../../table.js';

/** A key without what it is compared by. */
type ListedKey = Omit<KeyEntry, 'key' | 'key_id'> & { readonly key_id: string };

const budgetInWords = ({ hard_cap: cap, window }: ListedKey): string => {
  if (cap === undefined) return 'unlimited';
  return window.kind === 'rolling' ? `${cap} tokens in ${window.seconds} s` : `${cap} tokens`;
};

/** The keys of a configuration. */
export default class KeysList extends BaseCommand {
  static override summary = 'List the keys of the gateway, with what each may use.';
  static override description = 'Reads the configuration; no key and no hash is shown.';
  static override examples = [
    { description: 'The keys of the configuration found.', command: '<%= config.bin %> keys list' },
    {
      description: 'Those of another file, as JSON.',
      command: '<%= config.bin %> keys list --config ./fleet.toml --json',
    },
  ];
  static override flags = { config: sharedFlags.config };

  async run(): Promise<{ file: string; keys: readonly ListedKey[] }> {
    const { flags } = await this.parse(KeysList);
    const { file, config } = await openKeyFile(flags.config);
    const keys = config.entitlements.keys.map((entry): ListedKey => {
      const { key: _, ...rest } = entry;
      return { ...rest, key_id: keyIdOf(entry) };
    });
    const rows = keys.map((key) => [
      key.key_id,
      key.account_id,
      key.admin ? 'admin' : 'models',
      key.admin ? '-' : key.allowed_models.join(', ') || 'all',
      budgetInWords(key),
      key.requests_per_minute === undefined ? 'unlimited' : `${key.requests_per_minute} in a minute`,
    ]);
    const styled = process.stdout.isTTY === true;
    this.log(table(['key', 'account', 'for', 'models', 'budget', 'requests'], rows, styled));
    return { file, keys };
  }
}
