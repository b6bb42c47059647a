import { availableParallelism } from 'node:os';
import { createArchitectureRegistry, decodeTraffic, type Traffic } from '@helexa/graph';
import { loadModel } from '@helexa/neuron/loading';
import { Flags } from '@oclif/core';
import { backendMakers, isaNames, openBackend } from '../backends.js';
import { BaseCommand } from '../base-command.js';
import { limitsFor, measure, type Rate } from '../bench/measure.js';
import { findModel } from '../find-model.js';
import { sharedFlags } from '../flags.js';
import { bytesInWords } from '../table.js';

interface BenchReport {
  readonly model: string;
  readonly architecture: string;
  readonly backend: string;
  readonly device: string;
  readonly threads: number;
  readonly ranks: number;
  readonly prompt: number;
  readonly generate: number;
  readonly batch: number;
  readonly depth: number;
  readonly repeat: number;
  readonly warmUp: boolean;
  readonly loadSeconds: number;
  /** Tokens per second over all sequences. */
  readonly prefill: Rate | null;
  readonly decode: Rate | null;
  /** What one decode step must read. */
  readonly traffic: Traffic;
  /** Bytes per second that decoding read, those that plain reading gets, and their quotient. */
  readonly decodeBandwidth: number | null;
  readonly readBandwidth: number | null;
  readonly fraction: number | null;
}

/** Speed of one model on one backend, without a server in the way. */
export default class Bench extends BaseCommand {
  static override summary = 'Measure prefill and decode speed of a model.';
  static override description =
    `Runs the shapes that llama-bench runs: --prompt tokens read at once, then --generate tokens one by one, each test
from a cache of --depth tokens, --repeat times after a warm-up. Beside tokens per second it prints how many bytes a decode step must
read, and which fraction of this machine's plain read bandwidth, measured in the same run, decoding reaches.

Other work on the machine spoils the numbers.`;
  static override examples = [
    { description: 'The demonstration model.', command: '<%= config.bin %> bench' },
    {
      description: 'A model file on two threads, as JSON.',
      command: '<%= config.bin %> bench --model ./qwen3-0.6b-q4_k_m.gguf --prompt 512 --generate 64 --threads 2 --json',
    },
  ];
  static override flags = {
    model: Flags.string({ char: 'm', summary: 'Checkpoint folder or .gguf file; by default the demonstration model.' }),
    prompt: Flags.integer({ min: 0, default: 512, summary: 'Tokens of the prompt; 0 leaves the prefill test out.' }),
    generate: Flags.integer({ min: 0, default: 64, summary: 'Tokens to generate; 0 leaves the decode test out.' }),
    batch: Flags.integer({ min: 1, default: 1, summary: 'Sequences at once.' }),
    depth: Flags.integer({ min: 0, default: 0, summary: 'Tokens that stand in the cache before each test.' }),
    repeat: Flags.integer({ min: 1, default: 3, summary: 'Runs of each test.' }),
    device: sharedFlags.device({ default: 'auto' }),
    isa: Flags.option({ options: isaNames, summary: 'Instruction set of the CPU kernels.' })({ default: 'auto' }),
    threads: sharedFlags.threads,
    tp: sharedFlags.tp,
    'warm-up': Flags.boolean({ default: true, allowNo: true, summary: 'Run a few tokens before the clock starts.' }),
    bandwidth: Flags.boolean({ default: true, allowNo: true, summary: 'Also measure plain read bandwidth.' }),
  };

  async run(): Promise<BenchReport> {
    const { flags } = await this.parse(Bench);
    const { prompt, generate, batch, depth, repeat } = flags;
    if (prompt + generate === 0) this.refuse('--generate', '0', 'a prompt or tokens to generate');
    const found = await findModel(flags.model, []);
    const { architectures } = await this.architectures();
    const threads = flags.threads ?? availableParallelism();
    const backend = openBackend(
      { device: flags.device, isa: flags.isa, threads },
      (words) => this.notice(words),
      await backendMakers(),
    );
    const ranks = flags.tp ?? 1;
    const begun = process.hrtime.bigint();
    const workload = { prompt, generate, batch, depth, repeat, warmUp: flags['warm-up'] };
    const model = await loadModel({
      path: found.path,
      registry: createArchitectureRegistry(architectures),
      backend,
      ranks,
      kvFormat: 'F16',
      limits: limitsFor(workload),
      threads,
    });
    try {
      const { maxContext, pages } = model.device.layout.limits;
      const wanted = limitsFor(workload);
      if (maxContext < wanted.maxContext || pages < wanted.pages)
        this.refuse(
          '--depth, --prompt, --generate',
          `${depth}, ${prompt}, ${generate}`,
          `at most ${maxContext} tokens`,
        );
      const loadSeconds = Number(process.hrtime.bigint() - begun) / 1e9;
      const [device] = await backend.discover();
      const probe = async () => (flags.bandwidth ? ((await backend.readBandwidth?.(threads)) ?? null) : null);
      const before = await probe();
      const measured = await measure(model, workload, () => process.hrtime.bigint());
      const traffic = decodeTraffic(model.compiled.programs, 'F16', batch, depth + Math.round(generate / 2));
      const stepBytes = traffic.weightBytes + traffic.kvBytes + traffic.stateBytes;
      const decodeBandwidth = measured.decode ? (stepBytes * measured.decode.mean) / batch : null;
      const after = await probe();
      const roof = before === null || after === null ? null : (before + after) / 2;
      const report: BenchReport = {
        model: found.id,
        architecture: model.architecture.name,
        backend: backend.name,
        device: device ? `${device.name} (${device.capability})` : 'none',
        threads,
        ranks,
        ...workload,
        loadSeconds,
        ...measured,
        traffic,
        decodeBandwidth,
        readBandwidth: roof,
        fraction: decodeBandwidth !== null && roof !== null ? decodeBandwidth / roof : null,
      };
      this.print(report, stepBytes);
      return report;
    } finally {
      await model.dispose();
      await backend.dispose();
    }
  }

  private print(report: BenchReport, stepBytes: number): void {
    const speed = (rate: Rate) => `${rate.mean.toFixed(1)} ± ${rate.deviation.toFixed(1)} tokens/s`;
    const giga = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB/s`;
    this.log(
      `${report.model} (${report.architecture}) on ${report.backend}, ${report.device}, ${report.threads} threads`,
    );
    const at = report.depth > 0 ? ` at depth ${report.depth}` : '';
    const times = report.batch > 1 ? `, ${report.batch} sequences` : '';
    if (report.prefill) this.log(`prefill ${report.prompt}${at}${times}: ${speed(report.prefill)}`);
    if (report.decode) this.log(`decode ${report.generate}${at}${times}: ${speed(report.decode)}`);
    if (report.decodeBandwidth === null) return;
    this.log(`a decode step reads ${bytesInWords(stepBytes)}: ${giga(report.decodeBandwidth)}`);
    if (report.readBandwidth === null || report.fraction === null) return;
    this.log(
      `plain reading gets ${giga(report.readBandwidth)}: decoding reaches ${(report.fraction * 100).toFixed(0)} % of it`,
    );
    if (stepBytes < 64 * 2 ** 20)
      this.log('(the model is small enough for the cache of the processor: the fraction says little)');
  }
}
