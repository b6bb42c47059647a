import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { CortexError } from '../errors/cortex-error.js';
import { gatewayConfigSchema } from './gateway-config.js';
import { type LoadConfigOptions, loadConfig } from './load-config.js';
import { neuronConfigSchema } from './neuron-config.js';

const folder = async (t: ExecutionContext, files: Record<string, string>): Promise<string> => {
  const path = await mkdtemp(join(tmpdir(), 'config-'));
  t.teardown(() => rm(path, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(path, name, '..'), { recursive: true });
    await writeFile(join(path, name), text);
  }
  return path;
};

type Options = Partial<LoadConfigOptions<typeof gatewayConfigSchema>>;

const load = (path: string, options: Options = {}) =>
  loadConfig({ schema: gatewayConfigSchema, name: 'cortex', envPrefix: 'CORTEX_', env: {}, folder: path, ...options });

const refusal = async (t: ExecutionContext, loading: Promise<unknown>): Promise<CortexError> => {
  const error = await t.throwsAsync(loading, { instanceOf: CortexError });
  return error as CortexError;
};

test('loadConfig gives the documented defaults without any file', async (t) => {
  const { config, origins, file } = await load(await folder(t, {}));
  t.is(config.gateway.listen, '127.0.0.1:31313');
  t.is(config.gateway.metrics_listen, '127.0.0.1:31314');
  t.deepEqual(config.neurons, []);
  t.deepEqual(origins.get('gateway.listen'), { kind: 'default' });
  t.is(file, undefined);
});

test('loadConfig lets flags win over the environment, and the environment over the file', async (t) => {
  const path = await folder(t, {
    'cortex.toml': '[gateway]\nlisten = "127.0.0.1:1"\npoll_interval_ms = 50\nbody_limit_bytes = 2048\n',
  });
  const { config, origins, file } = await load(path, {
    env: { CORTEX_GATEWAY__LISTEN: '127.0.0.1:2', CORTEX_GATEWAY__POLL_INTERVAL_MS: '60' },
    overrides: { gateway: { listen: '127.0.0.1:3', metrics_listen: undefined } },
  });
  t.deepEqual(
    [config.gateway.listen, config.gateway.poll_interval_ms, config.gateway.body_limit_bytes],
    ['127.0.0.1:3', 60, 2048],
  );
  t.deepEqual(origins.get('gateway.listen'), { kind: 'flag' });
  t.deepEqual(origins.get('gateway.poll_interval_ms'), {
    kind: 'environment',
    name: 'CORTEX_GATEWAY__POLL_INTERVAL_MS',
  });
  t.deepEqual(origins.get('gateway.body_limit_bytes'), { kind: 'file', file: join(path, 'cortex.toml'), line: 4 });
  t.deepEqual(origins.get('log.level'), { kind: 'default' });
  t.is(file, join(path, 'cortex.toml'));
});

test('loadConfig replaces an array whole and forgets where its old items came from', async (t) => {
  const path = await folder(t, {
    'cortex.toml':
      '[[neurons]]\nname = "a"\nendpoint = "http://a:1"\n[[neurons]]\nname = "b"\nendpoint = "http://b:1"\n',
  });
  const { config, origins } = await load(path, {
    env: { CORTEX_NEURONS: '[{ name = "c", endpoint = "http://c:1" }]' },
  });
  t.deepEqual(config.neurons, [{ name: 'c', endpoint: 'http://c:1' }]);
  t.deepEqual(origins.get('neurons.0.name'), { kind: 'environment', name: 'CORTEX_NEURONS' });
  t.false(origins.has('neurons.1.name'));
});

test('loadConfig looks in the folder first, then at home', async (t) => {
  const home = await folder(t, { '.config/cortex/cortex.toml': '[log]\nlevel = "debug"\n' });
  const path = await folder(t, { 'cortex.toml': '[log]\nlevel = "warn"\n' });
  t.is((await load(path, { env: { HOME: home } })).config.log.level, 'warn');
  t.is((await load(await folder(t, {}), { env: { HOME: home } })).config.log.level, 'debug');
});

test('loadConfig runs no code that lies in the folder', async (t) => {
  const path = await folder(t, {
    '.config/config.mjs': 'globalThis.configWasRun = true; export default {};',
    'cortex.config.js': 'globalThis.configWasRun = true;',
    'package.json': '{"cortex":{"log":{"level":"trace"}}}',
    'cortex.toml': '',
  });
  t.is((await load(path)).config.log.level, 'info');
  t.is((globalThis as { configWasRun?: boolean }).configWasRun, undefined);
});

test('loadConfig names file, line and column of a syntax error', async (t) => {
  const path = await folder(t, { 'cortex.toml': '[gateway]\nlisten = \n' });
  const error = await refusal(t, load(path));
  t.is(error.code, 'config_invalid');
  t.regex(error.message, /cortex\.toml', line 2, column \d+: /);
  t.is(error.exit, 2);
});

const unknown: readonly [string, string, RegExp, string][] = [
  ['at the top', 'neuron = 1\n', /line 1: key 'neuron' is unknown/, "Did you mean 'neurons'?"],
  [
    'in a table',
    '[gateway]\n\nlistn = "x"\n',
    /line 3: key 'gateway.listn' is unknown/,
    "Did you mean 'gateway.listen'?",
  ],
  [
    'behind a dotted key',
    'gateway.pol_interval_ms = 1\n',
    /line 1: key 'gateway.pol_interval_ms'/,
    "Did you mean 'gateway.poll_interval_ms'?",
  ],
  [
    'in an array of tables',
    '[[neurons]]\nname = "a"\nendpoint = "http://a"\n[[neurons]]\nname = "b"\nendpont = "http://b"\n',
    /line 6: key 'neurons.1.endpont'/,
    "Did you mean 'neurons.1.endpoint'?",
  ],
  [
    'in an inline table',
    'neurons = [\n  { name = "a", endpont = "http://a" },\n]\n',
    /line 1: key 'neurons.0.endpont'/,
    "Did you mean 'neurons.0.endpoint'?",
  ],
  ['that another loader would obey', '"$import" = "other.toml"\n', /line 1: key '\$import' is unknown/, ''],
];
for (const [where, text, message, suggestion] of unknown) {
  test(`loadConfig refuses an unknown key ${where}`, async (t) => {
    const error = await refusal(t, load(await folder(t, { 'cortex.toml': text })));
    t.is(error.code, 'config_invalid');
    t.regex(error.message, message);
    t.is(error.suggestion ?? '', suggestion);
  });
}

test('loadConfig refuses an unknown path in the environment and leaves other variables alone', async (t) => {
  const path = await folder(t, {});
  const error = await refusal(t, load(path, { env: { CORTEX_GATEWAY__LISTN: 'x' } }));
  t.regex(error.message, /CORTEX_GATEWAY__LISTN/);
  t.is(error.suggestion, "Did you mean 'CORTEX_GATEWAY__LISTEN'?");
  t.is((await load(path, { env: { CORTEX_NPM_REGISTRY: 'x', OTHER__KEY: 'y' } })).config.log.level, 'info');
});

test('loadConfig reads an environment value as a literal where one is wanted, and as text where text is', async (t) => {
  const { config } = await loadConfig({
    schema: neuronConfigSchema,
    name: 'neuron',
    envPrefix: 'NEURON_',
    folder: await folder(t, {}),
    env: {
      NEURON_MODELS_DIR: '["/a", "/b"]',
      NEURON_THREADS: '4',
      NEURON_ENGINE__PREFIX_CACHE: 'false',
      NEURON_DEVICE: 'cpu',
      NEURON_DEFAULT_MODELS: '[{ model_id = "1" }]',
    },
  });
  t.deepEqual(
    [config.models_dir, config.threads, config.engine.prefix_cache, config.device],
    [['/a', '/b'], 4, false, 'cpu'],
  );
  t.is(config.default_models[0]!.model_id, '1');
});

test('loadConfig does not let a line break in a variable add a key', async (t) => {
  const env = { CORTEX_MODELS_CONFIG: '"a"\nextra = 1' };
  t.is((await load(await folder(t, {}), { env })).config.models_config, '"a"\nextra = 1');
});

const wrong: readonly [string, RegExp][] = [
  ['[gateway]\nlisten = "nowhere"\n', /line 2: 'gateway.listen' is not accepted: 'host:port' is wanted/],
  ['[gateway]\nlisten = "127.0.0.1:65536"\n', /'host:port' is wanted/],
  ['[gateway]\npoll_interval_ms = "fast"\n', /line 2: 'gateway.poll_interval_ms' is not accepted: expected number/],
  [
    '[[neurons]]\nname = "a"\nendpoint = "ftp://a"\n',
    /line 3: 'neurons.0.endpoint' is not accepted: a base URL is wanted/,
  ],
  ['[[neurons]]\nname = "a"\nendpoint = "http://a/v1"\n', /a base URL without a path is wanted/],
  ['[[neurons]]\nname = "a b"\nendpoint = "http://a"\n', /letters, digits/],
  ['[[neurons]]\nname = "a"\nendpoint = "http://a"\n[[neurons]]\nname = "a"\nendpoint = "http://b"\n', /the same name/],
  ['[log]\nlevel = "loud"\n', /line 2: 'log.level'/],
];
for (const [text, message] of wrong) {
  test(`loadConfig refuses ${JSON.stringify(text)}`, async (t) => {
    t.regex((await refusal(t, load(await folder(t, { 'cortex.toml': text })))).message, message);
  });
}

test('loadConfig wants a named file to exist and to be TOML', async (t) => {
  const path = await folder(t, { 'c.json': '{}' });
  t.is((await refusal(t, load(path, { file: join(path, 'absent.toml') }))).code, 'config_missing');
  t.regex((await refusal(t, load(path, { file: join(path, 'c.json') }))).message, /a TOML file is wanted/);
});
