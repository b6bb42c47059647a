import { CortexError } from '@helexa/core';
import { Command } from '@oclif/core';
import { type HookOutcome, type InstalledArchitectures, readArchitectures } from './architectures.js';
import { describeError, describeUsage } from './describe-error.js';

/** What every command shares: `--json`, one-line typed errors with a suggestion, the exit code of the catalogue. */
export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true;

  /** The architectures of every installed plugin; one that cannot be used is a warning that names it. */
  protected async architectures(): Promise<InstalledArchitectures> {
    const outcome = await this.config.runHook('cortex:architectures', {});
    const installed = readArchitectures(outcome as HookOutcome);
    for (const problem of installed.problems) this.notice(problem.message);
    return installed;
  }

  /** Says something on stderr that does not stop the command; stdout stays clean for pipes. */
  protected notice(text: string): void {
    this.logToStderr(`Warning: ${text}`);
  }

  protected override async catch(error: Error): Promise<void> {
    const known = describeError(error);
    if (this.jsonEnabled()) {
      const shown = known ?? describeUsage(error);
      process.exitCode = shown.exit;
      this.logJson({ error: shown });
      return;
    }
    if (known === null) {
      await super.catch(error);
      return;
    }
    this.logToStderr(`Error: ${known.message}`);
    if (known.suggestion) this.logToStderr(`       ${known.suggestion}`);
    if (known.code === 'internal_error') this.logToStderr(String(error.stack));
    this.exit(known.exit);
  }

  /** Refuses a flag's value by name. */
  protected refuse(flag: string, value: string, want: string): never {
    throw new CortexError('flag_invalid', { flag, value, want });
  }
}
