import type { Checkpoint, CortexError } from '@helexa/core';
import test from 'ava';
import { createArchitectureRegistry } from './registry.js';
import { tiny } from './testing/tiny-model.js';

const checkpoint = (config: unknown): Checkpoint => ({
  kind: 'safetensors',
  path: '/models/m',
  tensors: new Map(),
  config,
  metadata: new Map(),
});
const gguf = (architecture: string): Checkpoint => ({
  ...checkpoint(null),
  kind: 'gguf',
  metadata: new Map([['general.architecture', architecture]]),
});

test('registry finds an architecture by model type and by GGUF architecture, with its config', (t) => {
  const registry = createArchitectureRegistry([tiny]);
  const config = { model_type: 'tiny', heads: 2 };
  t.deepEqual(registry.forCheckpoint(checkpoint(config)), { architecture: tiny, config });
  t.is(registry.forCheckpoint(gguf('tiny')).architecture, tiny);
});

test('registry names the plugin to install for a known model type, and none for an unknown one', (t) => {
  const registry = createArchitectureRegistry([tiny]);
  const known = t.throws(() => registry.forCheckpoint(checkpoint({ model_type: 'llama' }))) as CortexError;
  t.is(known.code, 'architecture_unknown');
  t.is(known.message, "Cannot load architecture 'llama': installed plugins serve 'tiny'");
  t.is(known.suggestion, 'Run: cortex plugins install @helexa/arch-llama');
  const unknown = t.throws(() => registry.forCheckpoint(gguf('constructor'))) as CortexError;
  t.is(unknown.suggestion, undefined);
});

test('registry refuses a config that names no architecture', (t) => {
  const error = t.throws(() => createArchitectureRegistry([]).forCheckpoint(checkpoint({}))) as CortexError;
  t.is(error.code, 'model_config_invalid');
  t.regex(error.message, /config\.json.*'model_type' is missing/u);
});

test('registry refuses another contract version and two plugins of one name', (t) => {
  const codeOf = (run: () => unknown) => (t.throws(run) as CortexError).code;
  t.is(
    codeOf(() => createArchitectureRegistry([{ ...tiny, contractVersion: 2 }])),
    'architecture_contract',
  );
  t.is(
    codeOf(() => createArchitectureRegistry([tiny, { ...tiny, name: 'twin' }])),
    'architecture_contract',
  );
});
