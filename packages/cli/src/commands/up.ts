import type { GatewayConfig, NeuronConfig, Origin } from '@helexa/core';
import { Args, Flags } from '@oclif/core';
import { Listr } from 'listr2';
import { openBackend } from '../backends.js';
import { BaseCommand } from '../base-command.js';
import { streamChat } from '../chat-stream.js';
import { findModel } from '../find-model.js';
import { sharedFlags } from '../flags.js';
import { loadGatewaySettings, loadNeuronSettings } from '../settings.js';
import { type RunningStack, startStack } from '../stack.js';
import { watchSignals } from '../watch-signals.js';

const question = 'What is cortex?';

/** A neuron and a gateway in one process, with one model loaded. */
export default class Up extends BaseCommand {
  static override summary = 'Serve a model on this machine: a neuron and a gateway in one process.';
  static override description = `Loads MODEL and answers on an OpenAI compatible address until Ctrl-C.

MODEL is a checkpoint folder, a .gguf file, or the id of a model below 'models_dir' of neuron.toml. Without it the
demonstration model is served: a toy of 5 million parameters that needs no download.

Settings of the engine come from neuron.toml, those of the gateway from cortex.toml; neither file is needed.`;
  static override examples = [
    { description: 'Serve the demonstration model and see it answer.', command: '<%= config.bin %> up --demo' },
    {
      description: 'Serve a checkpoint folder on another port.',
      command: '<%= config.bin %> up ./models/qwen3-0.6b --port 8000',
    },
    {
      description: 'Divide a model over two device threads.',
      command: '<%= config.bin %> up ./models/qwen3-4b --tp 2',
    },
  ];
  static override args = {
    model: Args.string({ description: 'Checkpoint folder, .gguf file or model id.' }),
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
    demo: Flags.boolean({ summary: 'Ask the model one question when it is ready and print the answer.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Up);
    const watch = watchSignals(process, Date.now, (code) => process.exit(code));
    let stack: RunningStack | undefined;
    try {
      const { stack: started, id } = await this.start(args.model, flags);
      stack = started;
      this.announce(stack, id);
      if (flags.demo) await this.demonstrate(stack.url, id);
      await watch.first;
      this.log('Stopping');
    } finally {
      await stack?.close();
      watch.close();
    }
  }

  private async start(
    model: string | undefined,
    flags: {
      port?: number | undefined;
      'neuron-port'?: number | undefined;
      'metrics-port'?: number | undefined;
      device?: 'auto' | 'cpu' | 'reference' | 'cuda' | undefined;
      threads?: number | undefined;
      tp?: number | undefined;
    },
  ): Promise<{ stack: RunningStack; id: string }> {
    const loopback = (port: number | undefined) => (port === undefined ? undefined : `127.0.0.1:${port}`);
    const { config: gateway, origins: gatewayOrigins } = await loadGatewaySettings({
      env: process.env,
      overrides: { gateway: { listen: loopback(flags.port), metrics_listen: loopback(flags['metrics-port']) } },
    });
    const { config: neuron, origins: neuronOrigins } = await loadNeuronSettings({
      env: process.env,
      overrides: { listen: loopback(flags['neuron-port']), device: flags.device, threads: flags.threads },
    });
    const found = await findModel(model, neuron.models_dir);
    const { architectures } = await this.architectures();
    const backend = openBackend(
      { device: neuron.device, ...(neuron.threads === undefined ? {} : { threads: neuron.threads }) },
      (text) => this.notice(text),
    );
    let stack: RunningStack | undefined;
    const tasks = new Listr(
      [
        {
          title: 'Start the gateway and the neuron',
          task: async () => {
            stack = await startStack({
              gateway: quiet(gateway, gatewayOrigins),
              neuron: {
                ...quiet(neuron, neuronOrigins),
                default_models: [
                  { model_id: found.configured, ...(flags.tp === undefined ? {} : { tensor_parallel: flags.tp }) },
                ],
              },
              architectures,
              backends: [backend],
            });
          },
        },
        { title: `Load ${found.id} on ${backend.name}`, task: () => stack!.loadModel(found.id) },
      ],
      { renderer: this.jsonEnabled() ? 'silent' : process.stdout.isTTY ? 'default' : 'simple' },
    );
    try {
      await tasks.run();
    } catch (error) {
      await stack?.close();
      throw error;
    }
    return { stack: stack!, id: found.id };
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

  private async demonstrate(url: string, id: string): Promise<void> {
    if (this.jsonEnabled()) return;
    this.log(`you:  ${question}`);
    process.stdout.write(`${id}:  `);
    for await (const piece of streamChat(url, {
      model: id,
      messages: [{ role: 'user', content: question }],
      maxTokens: 128,
      temperature: 0,
    }))
      if (piece.kind === 'content') process.stdout.write(piece.text);
    this.log('\n');
  }
}

/** A person at a terminal sees warnings only, unless a file or a variable asks for more. */
const quiet = <Config extends GatewayConfig | NeuronConfig>(
  config: Config,
  origins: ReadonlyMap<string, Origin>,
): Config => (origins.get('log.level')?.kind === 'default' ? { ...config, log: { level: 'warn' } } : config);
