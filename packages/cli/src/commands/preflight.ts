import { catalogue, type ErrorCode } from '@helexa/core';
import { createArchitectureRegistry } from '@helexa/graph';
import { type PreflightReport, preflight } from '@helexa/neuron';
import { Args } from '@oclif/core';
import { openBackend } from '../backends.js';
import { BaseCommand } from '../base-command.js';
import { findModel } from '../find-model.js';
import { sharedFlags } from '../flags.js';
import { loadNeuronSettings } from '../settings.js';
import { bytesInWords, table } from '../table.js';

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
        limits: {
          maxRows: config.engine.max_rows,
          maxSequences: config.engine.max_sequences,
          maxContext: config.engine.max_context,
          pages: config.engine.kv_pages,
        },
      });
      this.print(report);
      const [refusal] = report.refusals;
      if (refusal) process.exitCode = catalogue[refusal.code as ErrorCode].exit;
      return report;
    } finally {
      await backend.dispose();
    }
  }

  private print(report: PreflightReport): void {
    const { refusals, ranks, notes } = report;
    for (const refusal of refusals) {
      this.log(`no: ${refusal.message}`);
      if (refusal.suggestion) this.log(`    ${refusal.suggestion}`);
    }
    if (!report.ok) return;
    const formats = Object.entries(report.formats)
      .map(([format, count]) => `${count} ${format}`)
      .join(', ');
    const total = ranks.reduce((sum, rank) => sum + rank.totalBytes, 0);
    const available = report.availableBytes > 0 ? ` of ${bytesInWords(report.availableBytes)} available` : '';
    this.log(`yes: ${report.path} can be loaded on ${report.backend}`);
    this.log(`${report.architecture}, ${report.parameters} parameters (${formats})`);
    this.log(
      `context ${report.context} of ${report.modelContext} tokens, ${report.sequences} sequences at once, ${bytesInWords(report.kvBytesPerToken)} of cache per token`,
    );
    this.log(`memory ${bytesInWords(total)}${available}\n`);
    const columns = ['weightBytes', 'kvBytes', 'stateBytes', 'activationBytes', 'stepBytes', 'totalBytes'] as const;
    this.log(
      table(
        ['rank', 'device', 'weights', 'cache', 'state', 'activations', 'step', 'total'],
        ranks.map((rank, index) => [
          String(index),
          String(rank.device),
          ...columns.map((column) => bytesInWords(rank[column])),
        ]),
        process.stdout.isTTY === true,
      ),
    );
    for (const note of notes) this.log(`note: ${note}`);
  }
}
