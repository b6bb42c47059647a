import type { KernelUse } from './ptxas-report.js';

/** Bytes that a kernel may spill: a few registers around a loop cost nothing that a clock would show. */
export const spillBudgetBytes = 64;

export interface CompiledFile {
  /** Path inside the package's native folder. */
  readonly file: string;
  readonly digest: string;
  /** Kernels by target. */
  readonly targets: ReadonlyMap<string, readonly KernelUse[]>;
}

/** Kernels that spill more than the budget, as sentences. */
export function findSpills(files: readonly CompiledFile[], nameOf: (mangled: string) => string): string[] {
  return files.flatMap(({ file, targets }) =>
    [...targets].flatMap(([target, kernels]) =>
      kernels
        .filter(({ spillBytes }) => spillBytes > spillBudgetBytes)
        .map(({ kernel, spillBytes }) => `${file} on sm_${target}: ${nameOf(kernel)} spills ${spillBytes} bytes`),
    ),
  );
}

/** Threads of a multiprocessor whose registers are there: 65536 registers, given out by 8 to each lane of a warp. */
export function residentWarps(registers: number): number {
  return Math.min(64, Math.floor(65536 / (Math.ceil(registers / 8) * 8 * 32)));
}

/** Digests of the files that a table was made from. */
export function readDigests(table: string): Map<string, string> {
  return new Map([...table.matchAll(/^### (\S+) `([0-9a-f]{12})`$/gm)].map(([, file, digest]) => [file!, digest!]));
}

/** The whole document: for each kernel its registers on every target, and its spills where it has any. */
export function renderTable(
  files: readonly CompiledFile[],
  targets: readonly string[],
  compiler: string,
  nameOf: (mangled: string) => string,
): string {
  const lines = [
    '# Registers of the CUDA kernels',
    '',
    `Written by \`npm run cuda:registers\` with ${compiler}. A cell is the number of registers, then the bytes spilled where there`,
    `are any; at most ${spillBudgetBytes} are allowed. Shared is the static part. Warps is how many of a multiprocessor's 64 the registers`,
    'leave room for on the last target that was compiled; shared memory and the size of blocks may leave less. The digest after',
    'a file names it with all it includes.',
    '',
  ];
  for (const { file, digest, targets: byTarget } of files) {
    if ([...byTarget.values()].every((kernels) => kernels.length === 0)) continue;
    lines.push(
      `### ${file} \`${digest}\``,
      '',
      `| kernel | ${targets.map((target) => `sm_${target}`).join(' | ')} | shared | warps |`,
    );
    lines.push(`|---|${targets.map(() => '---:').join('|')}|---:|---:|`);
    const names = new Set([...byTarget.values()].flatMap((kernels) => kernels.map(({ kernel }) => nameOf(kernel))));
    for (const name of [...names].sort()) {
      const uses = targets.map((target) => byTarget.get(target)?.find(({ kernel }) => nameOf(kernel) === name));
      const last = uses.findLast((use) => use !== undefined)!;
      const cells = uses.map((use) =>
        use === undefined ? '' : use.spillBytes > 0 ? `${use.registers} +${use.spillBytes}` : String(use.registers),
      );
      lines.push(
        `| ${name.replaceAll('|', '\\|')} | ${cells.join(' | ')} | ${last.sharedBytes} | ${residentWarps(last.registers)} |`,
      );
    }
    lines.push('');
  }
  return lines.join('\n');
}
