import { randomBytes } from 'node:crypto';
import { sha256 } from '@helexa/core';
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';
import { sharedFlags } from '../../flags.js';
import { keyIdOf, openKeyFile, replaceKeys } from '../../keys/key-file.js';
import { type NewKey, withKey } from '../../keys/key-text.js';

/** A key nobody can guess: 256 random bits. */
const newSecret = (): string => `sk-cortex-${randomBytes(32).toString('base64url')}`;

/** Makes a key for the gateway. */
export default class KeysCreate extends BaseCommand {
  static override summary = 'Make a key for the gateway and show it once.';
  static override description =
    `Adds an entry to the configuration of the gateway that holds the hash of the key, and prints the key itself: it
is kept nowhere and cannot be shown again. A gateway that runs takes it up on SIGHUP.`;
  static override examples = [
    { description: 'A key for one account.', command: '<%= config.bin %> keys create --account alice' },
    {
      description: 'A key for two models, a million tokens a day and 60 requests a minute.',
      command:
        '<%= config.bin %> keys create --account alice --id alice-laptop --model org/a --model org/b --tokens 1000000 --window 86400 --rate 60',
    },
    {
      description: 'A key for the routes below /admin.',
      command: '<%= config.bin %> keys create --account root --admin',
    },
  ];
  static override flags = {
    account: Flags.string({ required: true, summary: 'Who is accountable for what is asked with the key.' }),
    id: Flags.string({ summary: 'Label of the key in budgets and metrics; the account by default.' }),
    model: Flags.string({ multiple: true, summary: 'A model that the key may use, also by an alias; all by default.' }),
    tokens: Flags.integer({ min: 0, summary: 'Tokens that the key may use.' }),
    window: Flags.integer({
      min: 1,
      dependsOn: ['tokens'],
      summary: 'Seconds after which the tokens are counted anew; by default they never are.',
    }),
    rate: Flags.integer({ min: 1, summary: 'Requests that the key may make in a minute.' }),
    admin: Flags.boolean({ summary: 'The key opens the routes below /admin, and no other.' }),
    config: sharedFlags.config,
  };

  async run(): Promise<{ key: string; key_id: string; account_id: string; file: string }> {
    const { flags } = await this.parse(KeysCreate);
    const opened = await openKeyFile(flags.config);
    const { keys } = opened.config.entitlements;
    const id = flags.id ?? flags.account;
    if (keys.some((each) => keyIdOf(each) === id)) this.refuse('--id', id, 'an id that no other key has');
    const secret = newSecret();
    const entry: NewKey = {
      key: `sha256:${sha256(secret).toString('hex')}`,
      account_id: flags.account,
      key_id: id,
      ...(flags.admin ? { admin: true } : {}),
      ...(flags.model === undefined ? {} : { allowed_models: flags.model }),
      ...(flags.tokens === undefined ? {} : { hard_cap: flags.tokens }),
      ...(flags.rate === undefined ? {} : { requests_per_minute: flags.rate }),
    };
    const seconds = flags.window;
    const window = seconds === undefined ? {} : { window: { kind: 'rolling', seconds } };
    const text = withKey(opened.text, seconds === undefined ? entry : { ...entry, windowSeconds: seconds });
    await replaceKeys(opened, text, [...keys, { ...entry, ...window }]);
    this.log(secret);
    this.logToStderr(`Key '${id}' is in ${opened.file}, as its hash. It is not shown again.`);
    if (!opened.config.entitlements.require_auth)
      this.notice(`'entitlements.require_auth' is false: requests without a key are served too`);
    return { key: secret, key_id: id, account_id: flags.account, file: opened.file };
  }
}
