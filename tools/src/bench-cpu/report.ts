import type { Figure } from './rows.js';
import { median, quantile } from './statistics.js';

/** A row that ended in an error says so in place of figures. */
export interface FailedRow {
  readonly what: string;
  readonly reason: string;
}

const text = (value: number, unit: Figure['unit']): string => {
  if (!Number.isFinite(value)) return '-';
  if (unit === '/s') return value < 10 ? value.toFixed(2) : value.toFixed(1);
  return `${value.toFixed(2)}${unit === 'x' ? 'x' : unit === '%' ? ' %' : ''}`;
};

function verdict({ unit, samples, must, aim }: Figure): string {
  if (must === undefined || aim === undefined) return '';
  const value = median(samples.values);
  const reaches = (goal: number) => (unit === '%' ? value <= goal : value >= goal);
  const word = reaches(aim) ? 'aim' : reaches(must) ? 'must' : 'missed';
  return samples.steady === 0 ? `${word}, unsteady` : word;
}

/** The table as Markdown, under the conditions it was made in. */
export function renderMarkdown(
  figures: readonly Figure[],
  failed: readonly FailedRow[],
  conditions: readonly string[],
): string {
  const goal = (value: number | undefined, unit: Figure['unit']) => (value === undefined ? '' : text(value, unit));
  return [
    ...conditions.map((line) => `- ${line}`),
    ...failed.map(({ what, reason }) => `- no figures for \`${what}\`: ${reason}`),
    '',
    '| what | median | middle half | must | aim | reached | steady / all |',
    '|---|---|---|---|---|---|---|',
    ...figures.map((figure) => {
      const { what, unit, samples, must, aim } = figure;
      const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => text(quantile(samples.values, share), unit));
      return `| ${what} | ${middle} | ${low} to ${high} | ${goal(must, unit)} | ${goal(aim, unit)} | ${verdict(figure)} | ${samples.steady} / ${samples.taken} |`;
    }),
    '',
  ].join('\n');
}

const left = 470;
const perMust = 220;
const markup = (words: string): string => words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** One bar for each goal: the value over what must be, with the aim, and for shares of read bandwidth the limit, drawn in. */
export function renderSvg(figures: readonly Figure[]): string {
  const wanted = figures.filter(({ must, aim }) => must !== undefined && aim !== undefined);
  const height = 26 * wanted.length + 66;
  const width = left + 3 * perMust + 90;
  const bars = wanted.map((figure, index) => {
    const { what, unit, samples } = figure;
    const [must, aim] = [figure.must!, figure.aim!];
    const value = median(samples.values);
    // Of a share of time less is better: its bar is what must be over the value.
    const scaled = (one: number) => (unit === '%' ? must / one : one / must);
    const place = (one: number) => left + perMust * Math.max(0, Math.min(3, scaled(one) || 0));
    const y = 40 + 26 * index;
    const tick = (at: number, colour: string) =>
      `<line x1="${at.toFixed(1)}" y1="${y - 3}" x2="${at.toFixed(1)}" y2="${y + 21}" stroke="${colour}" stroke-width="2"/>`;
    const colour = scaled(value) >= 1 ? '#3b7dd8' : '#c98a2b';
    return (
      `<text x="${left - 10}" y="${y + 14}" text-anchor="end">${markup(what)}</text>` +
      `<rect x="${left}" y="${y}" width="${(place(value) - left).toFixed(1)}" height="18" fill="${colour}"/>` +
      tick(place(aim), '#2e7d32') +
      (unit === 'read' ? tick(place(1), '#c0392b') : '') +
      `<text x="${(Math.max(place(value), place(aim)) + 8).toFixed(1)}" y="${y + 14}">${text(value, unit)}</text>`
    );
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12">`,
    '<rect width="100%" height="100%" fill="#ffffff"/>',
    `<text x="${left}" y="20">value over what must be (dashed); green: aim; red: limit of reading</text>`,
    ...bars,
    `<line x1="${left + perMust}" y1="30" x2="${left + perMust}" y2="${height - 16}" stroke="#555555" stroke-dasharray="4 3"/>`,
    '</svg>',
    '',
  ].join('\n');
}
