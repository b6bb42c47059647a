import { createArchitectureRegistry } from '@helexa/graph';
import test from 'ava';
import architectures from './hook.js';

test('hook answers architectures that a registry accepts', async (t) => {
  const registry = createArchitectureRegistry(await architectures());
  t.deepEqual(
    registry.architectures.map((architecture) => architecture.name),
    ['qwen2'],
  );
});
