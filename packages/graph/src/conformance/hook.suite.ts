import type { Architecture } from '../architecture.js';
import { createArchitectureRegistry } from '../registry.js';
import type { SuiteTest } from './architecture.suite.js';

/** What every package of architectures is held to: its hook answers these names, and a registry accepts them. */
export function hookSuite(
  test: SuiteTest,
  hook: () => Promise<readonly Architecture[]>,
  names: readonly string[],
): void {
  test('hook answers architectures that a registry accepts', async (t) => {
    const registry = createArchitectureRegistry(await hook());
    t.deepEqual(
      registry.architectures.map(({ name }) => name),
      names,
    );
  });
}
