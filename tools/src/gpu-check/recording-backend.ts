import { type Backend, type DeviceModel, layoutStep, type ModelSpec, referenceBackend } from '@helexa/graph';

/** What one model was given: its spec, rows of its tensors, and the step buffer as it was at each step. */
export interface Recording {
  readonly spec: ModelSpec;
  readonly uploads: readonly {
    readonly rank: number;
    readonly tensor: number;
    readonly rowStart: number;
    readonly bytes: Uint8Array;
  }[];
  readonly steps: readonly Int32Array[];
}

/** A backend that computes nothing: it keeps what the last model that it loaded was given. */
export class RecordingBackend implements Backend {
  readonly name = 'recording';
  readonly ops: Backend['ops'];
  readonly fusions: Backend['fusions'];
  readonly weightFormats: Backend['weightFormats'];
  readonly kvFormats: Backend['kvFormats'];
  recorded: Recording | null = null;

  constructor() {
    ({
      ops: this.ops,
      fusions: this.fusions,
      weightFormats: this.weightFormats,
      kvFormats: this.kvFormats,
    } = referenceBackend());
  }

  quantisedRowBytes(): null {
    return null;
  }

  async discover(): Promise<readonly []> {
    return [];
  }

  async load(spec: ModelSpec): Promise<DeviceModel> {
    const layout = layoutStep(spec.limits);
    const buffer = new ArrayBuffer(layout.size * 4);
    const uploads: Recording['uploads'][number][] = [];
    const steps: Int32Array[] = [];
    this.recorded = { spec, uploads, steps };
    return {
      layout,
      buffer,
      memory: [],
      upload: async (rank, tensor, rowStart, bytes) => {
        uploads.push({ rank, tensor, rowStart, bytes: bytes.slice() });
      },
      seal: async () => {},
      step: async () => {
        steps.push(new Int32Array(buffer).slice());
        return { deviceNs: 0 };
      },
      dispose: async () => {},
    };
  }

  async dispose(): Promise<void> {}
}
