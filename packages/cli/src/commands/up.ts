import type { GatewayConfig, LoadedConfig, NeuronConfig } from '@helexa/core';
import { Args, Flags } from '@oclif/core';
import { Listr } from 'listr2';
import { backendMakers, type DeviceName, openBackend, reopenBackend } from '../backends.js';
import { BaseCommand } from '../base-command.js';
import { streamChat } from '../chat-stream.js';
import { sharedFlags } from '../flags.js';
import { openSources, resolveModel } from '../resolve-model.js';
import { loadGatewaySettings, loadNeuronSettings } from '../settings.js';
import { type RunningStack, type StackOptions, startStack } from '../stack.js';
import { watchLoad } from '../watch-load.js';
import { watchSignals } from '../watch-signals.js';

const question = 'What is cortex?';

/** A neuron and a gateway in one process, with one model loaded. */
export default class Up extends BaseCommand {
  static override summary = 'Serve a model on this machine: a neuron and a gateway in one process.';
  static override description = `Loads MODEL and answers on an OpenAI compatible address until Ctrl-C.

MODEL is a checkpoint folder, a .gguf file, the id of a model below 'models_dir' of neuron.toml, or 'org/name' of a
registry: that one is checked from its headers first, then downloaded into the cache that other tools share. Without it
the demonstration model is served: a toy of 5 million parameters that needs no download.

Settings of the engine come from neuron.toml, those of the gateway from cortex.toml; neither file is needed.`;
  static override examples = [
    { description: 'Serve the demonstration model and see it answer.', command: '<%= config.bin %> up --demo' },
    {
      description: 'Serve a checkpoint folder on another port.',
      command: '<%= config.bin %> up ./models/qwen3-0.6b --port 8000',
    },
    {
      description: 'Fetch a model and serve it.',
      command: '<%= config.bin %> up Qwen/Qwen3-0.6B',
    },
    {
      description: 'Quantise a checkpoint of floats as it is read.',
      command: '<%= config.bin %> up ./models/qwen3-4b --quant q4k',
    },
    {
      description: 'Divide a model over two device threads.',
      command: '<%= config.bin %> up ./models/qwen3-4b --tp 2',
    },
  ];
  static override args = {
    model: Args.string({ description: 'Checkpoint folder, .gguf file, or model id.' }),
  };
  static override flags = {
    port: Flags.integer({ min: 0, max: 65535, summary: 'Port of the gateway; 0 takes a free one.' }),
    'neuron-port': Flags.integer({ min: 0, max: 65535, summary: 'Port of the neuron; 0 takes a free one.' }),
    'metrics-port': Flags.integer({
      min: 0,
      max: 65535,
      summary: "Port of the gateway's metrics; 0 takes a free one.",
    }),
    device: sharedFlags.device(),
    threads: sharedFlags.threads,
    tp: sharedFlags.tp,
    quant: sharedFlags.quant,
    demo: Flags.boolean({ summary: 'Ask the model one question when it is ready and print the answer.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Up);
    const watch = watchSignals(process, Date.now, (code) => process.exit(code));
    const ended = new AbortController();
    let stack: RunningStack | undefined;
    // A signal during a load ends the load: its neuron goes away under it.
    const stopped = watch.first.then(async () => {
      ended.abort();
      await stack?.close();
    });
    try {
      const plan = await this.plan(args.model, flags);
      const steps = [
        {
          title: 'Start the gateway and the neuron',
          task: async () => {
            stack = await startStack(plan.stack);
          },
        },
        {
          title: `Load ${plan.id} on ${plan.device}`,
          task: async (_: unknown, task: { title: string }) => {
            const { title } = task;
            const stop = watchLoad(stack!.neuronUrl, plan.id, (words) => {
              task.title = `${title}: ${words}`;
            });
            try {
              await stack!.loadModel(plan.id);
              task.title = title;
            } finally {
              stop();
            }
          },
        },
      ];
      await new Listr(steps, {
        renderer: this.jsonEnabled() ? 'silent' : hasWidth(process.stdout) ? 'default' : 'simple',
        registerSignalListeners: false,
      }).run();
      plan.logGate.isOpen = true;
      this.announce(stack!, plan.id);
      if (flags.demo && !this.jsonEnabled()) await this.demonstrate(stack!.url, plan.id, ended.signal);
      await stopped;
      this.log('Stopped');
    } catch (error) {
      if (!ended.signal.aborted) throw error;
      this.log('Stopped');
    } finally {
      await stack?.close();
      watch.close();
    }
  }

  /** Everything that can be refused before a port is opened. */
  private async plan(model: string | undefined, flags: UpFlags) {
    const loopback = (port: number | undefined) => (port === undefined ? undefined : `127.0.0.1:${port}`);
    const gateway = await loadGatewaySettings({
      env: process.env,
      overrides: { gateway: { listen: loopback(flags.port), metrics_listen: loopback(flags['metrics-port']) } },
    });
    const neuron = await loadNeuronSettings({
      env: process.env,
      overrides: { listen: loopback(flags['neuron-port']), device: flags.device, threads: flags.threads },
    });
    const sources = await openSources(neuron.config);
    const found = await resolveModel(model, neuron.config, sources).finally(() => sources.close());
    const { architectures } = await this.architectures();
    const { device, threads } = neuron.config;
    const makers = await backendMakers();
    const warn = (text: string) => this.notice(text);
    const backend = openBackend({ device, ...(threads === undefined ? {} : { threads }) }, warn, makers);
    // Until the model is served, this command itself says what goes wrong.
    const logGate = { isOpen: neuron.origins.get('log.level')?.kind !== 'default' };
    const wanted = {
      ...(flags.tp === undefined ? {} : { tensor_parallel: flags.tp }),
      ...(flags.quant === undefined ? {} : { quant: flags.quant }),
    };
    const stack: StackOptions = {
      gateway: quiet(gateway),
      neuron: { ...quiet(neuron), default_models: [{ model_id: found.configured, ...wanted }] },
      architectures,
      backends: [backend],
      reopen: reopenBackend(threads, warn, makers),
      logGate,
    };
    return { stack, id: found.id, device: backend.name, logGate };
  }

  private announce(stack: RunningStack, id: string): void {
    if (this.jsonEnabled()) {
      const { url, neuronUrl, metricsUrl } = stack;
      process.stdout.write(`${JSON.stringify({ url, neuronUrl, metricsUrl, model: id })}\n`);
      return;
    }
    const body = JSON.stringify({ model: id, messages: [{ role: 'user', content: question }] });
    this.log(`
${id} answers at ${stack.url}/v1

  curl ${stack.url}/v1/chat/completions -H 'content-type: application/json' \\
    -d '${body}'

Metrics are at ${stack.metricsUrl}/metrics. Ctrl-C ends it.
`);
  }

  private async demonstrate(url: string, id: string, signal: AbortSignal): Promise<void> {
    this.log(`you:  ${question}`);
    process.stdout.write(`${id}:  `);
    const request = {
      model: id,
      messages: [{ role: 'user' as const, content: question }],
      maxTokens: 128,
      temperature: 0,
    };
    for await (const piece of streamChat(url, request, signal))
      if (piece.kind === 'content') process.stdout.write(piece.text);
    this.log('\n');
  }
}

interface UpFlags {
  readonly port?: number | undefined;
  readonly 'neuron-port'?: number | undefined;
  readonly 'metrics-port'?: number | undefined;
  readonly device?: DeviceName | undefined;
  readonly threads?: number | undefined;
  readonly tp?: number | undefined;
  readonly quant?: string | undefined;
}

/** A person at a terminal sees warnings only, unless a file or a variable asks for more. */
const quiet = <Config extends GatewayConfig | NeuronConfig>({ config, origins }: LoadedConfig<Config>): Config =>
  origins.get('log.level')?.kind === 'default' ? { ...config, log: { level: 'warn' } } : config;

/** Moving lines need a terminal that says how wide it is. */
const hasWidth = (stream: NodeJS.WriteStream): boolean => stream.isTTY === true && stream.columns > 0;
