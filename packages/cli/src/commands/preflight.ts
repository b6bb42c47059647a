import { catalogue, type ErrorCode } from '@helexa/core';
import { type Backend, createArchitectureRegistry } from '@helexa/graph';
import { type DeviceRates, type PreflightReport, preflight } from '@helexa/neuron';
import { Args, Flags } from '@oclif/core';
import { backendMakers, openBackend } from '../backends.js';
import { BaseCommand } from '../base-command.js';
import { sharedFlags } from '../flags.js';
import { parseAmount } from '../parse-amount.js';
import { openSources, resolveModel } from '../resolve-model.js';
import { loadNeuronSettings } from '../settings.js';
import { bytesInWords, table } from '../table.js';

/** As many as the device has. */
const allThreads = 0;

/** Whether a model could be loaded here, from headers alone. */
export default class Preflight extends BaseCommand {
  static override summary = 'Tell whether a model can be loaded here, and what it would need.';
  static override description = [
    `Reads one listing and the headers of a checkpoint, compiles its program and adds up memory, download and speed. No weight is read or downloaded and nothing is allocated. What would be refused at load is refused here, with the same words, and what would make it possible is said.`,
    `The forecast of speed is what memory and arithmetic allow. Without --bandwidth it rests on what this device reads in a short measurement, with all its threads; a device that cannot be measured gets no forecast.`,
  ].join('\n\n');
  static override examples = [
    { description: 'A checkpoint folder.', command: '<%= config.bin %> preflight ./models/qwen3-0.6b' },
    {
      description: 'A model of a registry, over two GPUs that are elsewhere.',
      command:
        '<%= config.bin %> preflight Qwen/Qwen3-8B --tp 2 --device-memory 24GiB,12GiB --bandwidth 900GB/s --compute 100T',
    },
    {
      description: 'One file of a repository of GGUF files, as JSON.',
      command: '<%= config.bin %> preflight unsloth/Qwen3-8B-GGUF --quant Q4_K_M --json',
    },
  ];
  static override args = {
    model: Args.string({
      description: "Checkpoint folder, .gguf file, model id or 'org/name'; by default the demonstration model.",
    }),
  };
  static override flags = {
    tp: sharedFlags.tp,
    device: sharedFlags.device(),
    quant: sharedFlags.quant,
    'device-memory': Flags.string({
      summary: 'Free memory of the device of each rank, such as 24GiB,12GiB; one amount is for all of them.',
    }),
    bandwidth: Flags.string({ summary: 'Memory bandwidth of one device, such as 900GB/s; measured when absent.' }),
    compute: Flags.string({ summary: 'Operations per second of one device, such as 100T, for the speed of prompts.' }),
  };

  async run(): Promise<PreflightReport> {
    const { args, flags } = await this.parse(Preflight);
    const { config } = await loadNeuronSettings({ env: process.env, overrides: { device: flags.device } });
    const ranks = flags.tp ?? 1;
    const deviceMemory = this.deviceMemory(flags['device-memory'], ranks);
    const given = {
      bandwidth: this.amount('bandwidth', flags, 'B/s'),
      operations: this.amount('compute', flags, 'op/s'),
    };
    const sources = await openSources(config);
    const found = await resolveModel(args.model, config, sources);
    const { architectures } = await this.architectures();
    const backend = openBackend({ device: config.device }, (text) => this.notice(text), await backendMakers());
    try {
      const rates = await ratesOf(given, backend, ranks);
      const report = await preflight({
        ...(found.isRemote ? { source: { id: found.id, sources } } : { path: found.path }),
        quant: flags.quant ?? null,
        ...(rates ? { rates } : {}),
        ...(deviceMemory === undefined ? {} : { deviceMemory }),
        registry: createArchitectureRegistry(architectures),
        backend,
        ranks,
        threads: config.threads,
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
      await sources.close();
    }
  }

  private amount(
    name: 'bandwidth' | 'compute',
    flags: Readonly<Record<typeof name, string | undefined>>,
    unit: string,
  ): number | undefined {
    const text = flags[name];
    if (text === undefined) return undefined;
    return parseAmount(text, unit) ?? this.refuse(`--${name}`, text, `an amount such as '900G${unit}'`);
  }

  /** One amount per rank. */
  private deviceMemory(text: string | undefined, ranks: number): number[] | undefined {
    if (text === undefined) return undefined;
    const want = `an amount such as '24GiB', or ${ranks} of them with commas between`;
    const amounts = text.split(',').map((each) => parseAmount(each, 'B') ?? this.refuse('--device-memory', text, want));
    if (amounts.length !== 1 && amounts.length !== ranks) this.refuse('--device-memory', text, want);
    return Array.from({ length: ranks }, (_, rank) => Math.floor(amounts[rank] ?? amounts[0]!));
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
    this.log(`yes: ${report.model} can be loaded on ${report.backend}`);
    if (report.gguf !== null) this.log(`file ${report.gguf}`);
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
    const reach = report.contexts.map(
      ({ tokens, totalBytes, fits }) => `${tokens}: ${bytesInWords(totalBytes)}${fits ? '' : ' (too much)'}`,
    );
    this.log(`\none sequence of so many tokens: ${reach.join(', ')}`);
    this.printDownload(report);
    this.printSpeed(report);
    for (const note of notes) this.log(`note: ${note}`);
  }

  private printDownload({ download }: PreflightReport): void {
    if (!download) return;
    const { files, totalBytes, missingBytes, folder, freeBytes } = download;
    const rest = missingBytes === 0 ? 'all of it is here' : `${bytesInWords(missingBytes)} of it to download`;
    this.log(
      `download ${files} files, ${bytesInWords(totalBytes)}, ${rest}; ${bytesInWords(freeBytes)} free in ${folder}`,
    );
  }

  private printSpeed({ speed }: PreflightReport): void {
    if (!speed) {
      this.log('no forecast of speed: this device cannot be measured; --bandwidth gives its bandwidth');
      return;
    }
    const rounded = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(2));
    const decode = speed.decode.map(({ context, tokensPerSecond }) => `${rounded(tokensPerSecond)} at ${context}`);
    this.log(`decode, tokens per second by context: ${decode.join(', ')}`);
    if (speed.prefill !== null) this.log(`prompt, tokens per second: ${rounded(speed.prefill)}`);
    this.log(`speeds are what ${speed.basis} allows`);
  }
}

/** What was given, else what the device reads now, shared by the ranks on it; null when neither is known. */
async function ratesOf(
  { bandwidth, operations }: { bandwidth?: number | undefined; operations?: number | undefined },
  backend: Backend,
  ranks: number,
): Promise<DeviceRates | null> {
  const rates = (rate: number, source: string): DeviceRates => ({
    bandwidth: rate,
    operations: operations ?? null,
    basis: `a bandwidth of ${(rate / 1e9).toFixed(1)} GB/s (${source})`,
  });
  if (bandwidth !== undefined) return rates(bandwidth, 'given');
  const measured = await backend.readBandwidth?.(allThreads);
  return measured === undefined ? null : rates(measured / ranks, ranks === 1 ? 'measured' : 'measured, for each rank');
}
