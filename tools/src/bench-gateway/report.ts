import type { Figure } from './rows.js';

const text = (value: number | undefined, unit: Figure['unit']): string =>
  value === undefined || !Number.isFinite(value) ? '-' : `${value.toFixed(value < 100 ? 1 : 0)} ${unit}`.trim();

const verdict = ({ gateway, goal }: Figure): string =>
  goal === undefined ? '' : gateway <= goal ? 'reached' : `missed by ${(gateway / goal).toFixed(2)}x`;

/** The figures as a table in Markdown, under the conditions they were made in. */
export const renderMarkdown = (figures: readonly Figure[], conditions: readonly string[]): string =>
  [
    ...conditions.map((line) => `- ${line}`),
    '',
    '| what | gateway | bare relay | nginx | ratio | goal | | |',
    '|---|---|---|---|---|---|---|---|',
    ...figures.map((figure) => {
      const { what, unit, gateway, bare, nginx, goal, note = '' } = figure;
      const ratio = nginx === undefined || nginx <= 0 ? '-' : `${(gateway / nginx).toFixed(1)}x`;
      return `| ${what} | ${text(gateway, unit)} | ${text(bare, unit)} | ${text(nginx, unit)} | ${ratio} | ${goal === undefined ? '' : text(goal, unit)} | ${verdict(figure)} | ${note} |`;
    }),
    '',
  ].join('\n');
