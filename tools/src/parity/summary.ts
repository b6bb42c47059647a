import type { ParityLine } from './parity-line.js';

/** What one setting stands for in the summary. */
export interface ParityColumn {
  readonly setting: string;
  readonly ranks: number;
}

/**
 * One row for each model, one column for each setting: the largest difference of any logit, `refused`, or how many lines
 * failed. Quantised weights have their lowest cosine instead, since their activations are rounded too.
 */
export function summaryTable(lines: readonly ParityLine[], columns: readonly ParityColumn[]): string[] {
  const models = [...new Set(lines.filter((line) => line.setting !== '-').map((line) => line.model))];
  const rows = [
    ['', ...columns.map(({ setting }) => setting)],
    ...models.map((model) => [
      model,
      ...columns.map(({ setting }) => cellOf(lines.filter((line) => line.model === model && line.setting === setting))),
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
}

function cellOf(lines: readonly ParityLine[]): string {
  const failed = lines.filter((line) => line.verdict === 'FAIL').length;
  if (failed > 0) return `FAIL ${failed}`;
  const [first] = lines;
  if (first === undefined) return '-';
  if (first.verdict !== 'ok') return first.verdict;
  const figures = lines.flatMap((line) => (line.figures ? [line.figures] : []));
  if (figures.length === 0) return 'ok';
  const worst = Math.max(...figures.map((one) => one.maxDifference));
  return worst <= 0.1 ? worst.toExponential(1) : `cos ${Math.min(...figures.map((one) => one.cosine)).toFixed(6)}`;
}

/** Refusals that are not exact: a rank count said to work that did not, or one that works and was not named. */
export function wrongRefusals(lines: readonly ParityLine[], columns: readonly ParityColumn[]): string[] {
  const ranksOf = new Map(columns.map(({ setting, ranks }) => [setting, ranks]));
  const wrong: string[] = [];
  for (const { model, setting, works } of lines) {
    if (!works) continue;
    const others = lines.filter((line) => line.model === model && deviceOf(line.setting) === deviceOf(setting));
    for (const [other, ranks] of ranksOf) {
      const found = others.find((line) => line.setting === other);
      if (!found || (found.verdict !== 'refused') === works.includes(ranks)) continue;
      const said = works.includes(ranks) ? 'was to work' : 'was not to work';
      wrong.push(`${model} over ${ranks} ranks ${said} by the refusal of '${setting}'`);
    }
  }
  return wrong;
}

const deviceOf = (setting: string): string => setting.split(' ')[0]!;
