/** What the assembler says about one kernel on one target. */
export interface KernelUse {
  /** Mangled name. */
  readonly kernel: string;
  readonly registers: number;
  readonly spillBytes: number;
  readonly stackBytes: number;
  /** Static shared memory; what a launch asks for comes on top. */
  readonly sharedBytes: number;
}

/** Reads the report of `nvcc -Xptxas -v` for one target. */
export function parsePtxasReport(report: string): KernelUse[] {
  const kernels: KernelUse[] = [];
  let kernel: string | undefined;
  let spillBytes = 0;
  let stackBytes = 0;
  for (const line of report.split('\n')) {
    const entry = /Compiling entry function '([^']+)'/.exec(line);
    const memory = /(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line);
    const used = /Used (\d+) registers/.exec(line);
    if (entry) kernel = entry[1]!;
    else if (memory) [stackBytes, spillBytes] = [Number(memory[1]), Number(memory[2])];
    else if (used && kernel !== undefined) {
      const shared = /(\d+) bytes smem/.exec(line);
      kernels.push({
        kernel,
        registers: Number(used[1]),
        spillBytes,
        stackBytes,
        sharedBytes: Number(shared?.[1] ?? 0),
      });
      kernel = undefined;
    }
  }
  return kernels;
}
