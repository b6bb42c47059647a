import test from 'ava';
import { hubEnvironment, isSecretKey } from './hub-environment.js';
import { loadConfig } from './load-config.js';
import { neuronConfigSchema } from './neuron-config.js';

const hubOf = async (env: Record<string, string>, overrides = {}) => {
  const { config, origins } = await loadConfig({
    schema: neuronConfigSchema,
    name: 'neuron',
    envPrefix: 'NEURON_',
    folder: '/nonexistent',
    env,
    fallbacks: hubEnvironment(env),
    overrides,
  });
  return { hub: config.hub, origins };
};

test('hubEnvironment finds the cache by HF_HUB_CACHE, then HF_HOME, then XDG_CACHE_HOME, then HOME', async (t) => {
  const all = { HOME: '/h', XDG_CACHE_HOME: '/x', HF_HOME: '/f', HF_HUB_CACHE: '/c' };
  t.is((await hubOf(all)).hub.cache_dir, '/c');
  t.is((await hubOf({ ...all, HF_HUB_CACHE: '' })).hub.cache_dir, '/f/hub');
  t.is((await hubOf({ HOME: '/h', XDG_CACHE_HOME: '/x' })).hub.cache_dir, '/x/huggingface/hub');
  t.is((await hubOf({ HOME: '/h' })).hub.cache_dir, '/h/.cache/huggingface/hub');
  t.is((await hubOf({})).hub.cache_dir, undefined);
});

test('hubEnvironment yields to NEURON_HUB__ and to flags, and each value knows its variable', async (t) => {
  const env = { HF_ENDPOINT: 'http://a:1', HF_TOKEN: 't', HF_HUB_OFFLINE: 'YES', NEURON_HUB__ENDPOINT: 'http://b:1' };
  const { hub, origins } = await hubOf(env, { hub: { offline: false } });
  t.like(hub, { endpoint: 'http://b:1', token: 't', offline: false });
  t.deepEqual(origins.get('hub.endpoint'), { kind: 'environment', name: 'NEURON_HUB__ENDPOINT' });
  t.deepEqual(origins.get('hub.token'), { kind: 'environment', name: 'HF_TOKEN' });
  t.deepEqual(origins.get('hub.offline'), { kind: 'flag' });
});

test('hubEnvironment takes an empty variable for an absent one', async (t) => {
  const { hub } = await hubOf({ HF_TOKEN: '', HF_ENDPOINT: '', HF_HUB_OFFLINE: '' });
  t.like(hub, { token: undefined, endpoint: 'https://huggingface.co', offline: false });
});

test('hub refuses two sources of one scheme and a default that is no source', (t) => {
  const entry = { scheme: 'lan', endpoint: 'http://a:1', cache_dir: '/c' };
  const parse = (hub: unknown) => neuronConfigSchema.safeParse({ hub }).success;
  t.true(parse({ sources: [entry], default_source: 'lan' }));
  t.false(parse({ sources: [entry, entry] }));
  t.false(parse({ sources: [{ ...entry, scheme: 'huggingface' }] }));
  t.false(parse({ default_source: 'lan' }));
  t.false(parse({ endpoint: 'http://user:secret@a:1' }));
});

test('isSecretKey knows tokens and keys and nothing else', (t) => {
  t.true(isSecretKey('entitlements.keys.0.key') && isSecretKey('key'));
  t.false(isSecretKey('entitlements.keys.0.key_id') || isSecretKey('entitlements.keys'));
  t.true(isSecretKey('hub.token') && isSecretKey('hub.sources.0.token'));
  t.false(isSecretKey('hub.token_file') || isSecretKey('hub.endpoint'));
});
