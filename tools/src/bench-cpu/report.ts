import type { OwnSpeeds, Speeds } from './measure-round.js';
import { median } from './median.js';

/** Rounds of one model file: ours, theirs, theirs, ours; theirs is empty when nothing is compared. */
export interface ModelRounds {
  readonly name: string;
  readonly rounds: readonly { readonly ours: readonly OwnSpeeds[]; readonly theirs: readonly Speeds[] }[];
}

export interface Row {
  readonly name: string;
  readonly kept: number;
  readonly discarded: number;
  readonly prefill: number;
  readonly decode: number;
  readonly fraction: number;
  readonly prefillRatio: number | null;
  readonly decodeRatio: number | null;
}

/** A round counts when read bandwidth moved at most this much between its first and last run. */
const steadiness = 0.05;

export function summarise({ name, rounds }: ModelRounds): Row {
  const steady = rounds.filter(({ ours }) => {
    const reads = ours.map((run) => run.readBandwidth);
    return Math.max(...reads) <= Math.min(...reads) * (1 + steadiness);
  });
  const ours = steady.flatMap((round) => round.ours);
  const theirs = steady.flatMap((round) => round.theirs);
  const of = (runs: readonly Speeds[], key: keyof Speeds) => median(runs.map((run) => run[key]));
  const ratio = (key: keyof Speeds) => (theirs.length > 0 ? of(ours, key) / of(theirs, key) : null);
  return {
    name,
    kept: steady.length,
    discarded: rounds.length - steady.length,
    prefill: of(ours, 'prefill'),
    decode: of(ours, 'decode'),
    fraction: median(ours.map((run) => run.fraction)),
    prefillRatio: ratio('prefill'),
    decodeRatio: ratio('decode'),
  };
}

const times = (ratio: number | null): string => (ratio === null ? '-' : `${ratio.toFixed(2)}x`);
const number = (value: number): string => (Number.isFinite(value) ? value.toFixed(1) : '-');

/** The table as Markdown, under the conditions it was made in. */
export function renderMarkdown(rows: readonly Row[], conditions: readonly string[]): string {
  return [
    ...conditions.map((line) => `- ${line}`),
    '',
    '| model | prefill, tokens/s | vs other | decode, tokens/s | vs other | decode, of read bandwidth | rounds kept / discarded |',
    '|---|---|---|---|---|---|---|',
    ...rows.map(
      (row) =>
        `| ${row.name} | ${number(row.prefill)} | ${times(row.prefillRatio)} | ${number(row.decode)} | ${times(row.decodeRatio)} | ${Number.isFinite(row.fraction) ? row.fraction.toFixed(2) : '-'} | ${row.kept} / ${row.discarded} |`,
    ),
    '',
  ].join('\n');
}

/** Decode as a share of read bandwidth, one bar each, the limit drawn in. */
export function renderSvg(rows: readonly Row[]): string {
  const left = 220;
  const full = 420;
  const height = 28 * rows.length + 60;
  const bars = rows.map((row, index) => {
    const y = 40 + 28 * index;
    const width = Math.max(0, Math.min(1.2, row.fraction || 0)) * full;
    return (
      `<text x="${left - 10}" y="${y + 15}" text-anchor="end">${row.name}</text>` +
      `<rect x="${left}" y="${y}" width="${width.toFixed(1)}" height="20" fill="#3b7dd8"/>` +
      `<text x="${(left + width + 6).toFixed(1)}" y="${y + 15}">${Number.isFinite(row.fraction) ? row.fraction.toFixed(2) : 'no steady round'}</text>`
    );
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${left + full + 90}" height="${height}" font-family="sans-serif" font-size="13">`,
    '<rect width="100%" height="100%" fill="#ffffff"/>',
    `<text x="${left}" y="22">decode, as a share of plain read bandwidth</text>`,
    ...bars,
    `<line x1="${left + full}" y1="32" x2="${left + full}" y2="${height - 16}" stroke="#c0392b" stroke-dasharray="4 3"/>`,
    `<text x="${left + full}" y="${height - 4}" text-anchor="middle" fill="#c0392b">limit</text>`,
    '</svg>',
    '',
  ].join('\n');
}
