import type { Backend, DeviceModel } from '@helexa/graph';
import {
  type BackendCase,
  type CaseStep,
  lowerCase,
  readAnswer,
  rowsStep,
  type StepAnswer,
  uploadAll,
  writeStep,
} from '@helexa/graph/conformance';

/** A program of products and a norm; with more ranks it ends in a sum over them. */
export const smallCase = (ranks = 1): BackendCase => ({
  name: 'small',
  ops: [],
  boundOf: 'linear.F32',
  bound: 1e-5,
  vocab: 64,
  ranks,
  steps: [rowsStep(5)],
  mutation: 'none',
  build(writer) {
    const x = writer.input('x', 32);
    const y = writer.run('linear', [x], { matrix: writer.matrix('w', [48], 32, { format: 'Q8_0' }) })[0]!;
    const normed = writer.run('rms_norm', [y], { weight: writer.vector('norm', 48) }, { eps: 1e-5 })[0]!;
    return writer.finish(ranks > 1 ? writer.run('all_reduce', [normed]) : [normed]);
  },
});

/** One token of each of these sequences, as in decoding. */
export const decodeStep = (tokens: readonly number[]): CaseStep => ({
  sequences: tokens.map((token, slot) => ({ slot, tokens: [token], start: 70 })),
});

/** A loaded small model, driven step by step. */
export class SmallModel {
  readonly device: DeviceModel;
  readonly #spec: BackendCase;

  private constructor(device: DeviceModel, spec: BackendCase) {
    this.device = device;
    this.#spec = spec;
  }

  static async load(backend: Backend, { devices = [0], seal = true } = {}): Promise<SmallModel> {
    const spec = smallCase(devices.length);
    const { programs, parts, limits } = lowerCase(spec, { mutated: false });
    const device = await backend.load({ programs, devices, limits, kvFormat: 'F32' });
    const model = new SmallModel(device, spec);
    for (const [rank, { tensors }] of parts.entries()) await uploadAll(device, rank, tensors);
    if (seal) await device.seal();
    return model;
  }

  async step(step: CaseStep): Promise<StepAnswer> {
    writeStep(this.device, this.#spec, step, false);
    await this.device.step();
    return readAnswer(this.device);
  }
}
