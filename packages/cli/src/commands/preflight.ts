import { createArchitectureRegistry } from '@helexa/graph';
import { type PreflightReport, preflight } from '@helexa/neuron';
import { Args } from '@oclif/core';
import { openBackend } from '../backends.js';
import { BaseCommand } from '../base-command.js';
import { findModel } from '../find-model.js';
import { sharedFlags } from '../flags.js';
import { loadNeuronSettings } from '../settings.js';

/** Whether a model could be loaded here, from headers alone. */
export default class Preflight extends BaseCommand {
  static override summary = 'Tell whether a model can be loaded here, and what it would need.';
  static override description =
    `Reads the headers of a checkpoint, compiles its program and adds up the memory. No weight is read and nothing
is allocated. What would be refused at load is refused here, with the same words.`;
  static override examples = [
    { description: 'A checkpoint folder.', command: '<%= config.bin %> preflight ./models/qwen3-0.6b' },
    {
      description: 'The same over two ranks, as JSON.',
      command: '<%= config.bin %> preflight ./models/qwen3-0.6b --tp 2 --json',
    },
  ];
  static override args = {
    model: Args.string({
      description: 'Checkpoint folder, .gguf file or model id; by default the demonstration model.',
    }),
  };
  static override flags = { tp: sharedFlags.tp, device: sharedFlags.device() };

  async run(): Promise<PreflightReport> {
    const { args, flags } = await this.parse(Preflight);
    const { config } = await loadNeuronSettings({ env: process.env, overrides: { device: flags.device } });
    const { path } = await findModel(args.model, config.models_dir);
    const { architectures } = await this.architectures();
    const backend = openBackend({ device: config.device }, (text) => this.notice(text));
    try {
      const report = await preflight({
        path,
        registry: createArchitectureRegistry(architectures),
        backend,
        ranks: flags.tp ?? 1,
        limits: {},
      });
      return report;
    } finally {
      await backend.dispose();
    }
  }
}
