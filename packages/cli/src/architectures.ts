import { CortexError } from '@helexa/core';
import { type Architecture, contractVersion } from '@helexa/graph';

/** What `config.runHook('cortex:architectures', {})` answers, as far as it is read here. */
export interface HookOutcome {
  readonly successes: readonly { readonly plugin: { readonly name: string }; readonly result: unknown }[];
  readonly failures: readonly { readonly plugin: { readonly name: string }; readonly error: Error }[];
}

export interface InstalledArchitectures {
  readonly architectures: readonly Architecture[];
  /** One per plugin or architecture that cannot be used. */
  readonly problems: readonly CortexError[];
}

const methods = ['parseConfig', 'ggufConfig', 'facts', 'weights', 'forward'] as const;

/** Why a value that a plugin gave is no architecture of this host, or null. A plugin may carry its own copy of the contract. */
function refusal(value: unknown): string | null {
  if (typeof value !== 'object' || value === null) return 'it gave something that is no architecture';
  const candidate = value as Record<string, unknown>;
  if (typeof candidate['name'] !== 'string') return 'it gave an architecture without a name';
  if (candidate['contractVersion'] !== contractVersion)
    return `'${candidate['name']}' speaks contract version '${candidate['contractVersion']}'; this cortex wants '${contractVersion}'`;
  const missing = methods.find((method) => typeof candidate[method] !== 'function');
  return missing ? `'${candidate['name']}' has no '${missing}'` : null;
}

/** Sorts what the plugins answered into architectures that can be used and problems that are only reported. */
export function readArchitectures(outcome: HookOutcome): InstalledArchitectures {
  const architectures = new Map<string, { plugin: string; architecture: Architecture }>();
  const problems: CortexError[] = [];
  const refuse = (name: string, reason: string, cause?: unknown) =>
    problems.push(new CortexError('architecture_contract', { name, reason }, { cause }));

  for (const { plugin, error } of outcome.failures) refuse(plugin.name, error.message, error);
  for (const { plugin, result } of outcome.successes) {
    if (!Array.isArray(result)) {
      refuse(plugin.name, 'its hook gave no list of architectures');
      continue;
    }
    for (const value of result as readonly unknown[]) {
      const reason = refusal(value);
      if (reason !== null) {
        refuse(plugin.name, reason);
        continue;
      }
      const architecture = value as Architecture;
      const other = architectures.get(architecture.name);
      if (other) refuse(plugin.name, `'${architecture.name}' is already served by '${other.plugin}'`);
      else architectures.set(architecture.name, { plugin: plugin.name, architecture });
    }
  }
  return { architectures: [...architectures.values()].map((entry) => entry.architecture), problems };
}
