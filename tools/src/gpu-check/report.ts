import type { Finding, Measured } from './finding.js';

/** What is known of where a check ran. */
export interface Conditions {
  readonly date: string;
  readonly card: string;
  readonly driver: string;
  readonly commit: string;
}

export interface StageReport {
  readonly stage: string;
  readonly seconds: number;
  readonly findings: readonly Finding[];
}

const digits = (value: number): string =>
  Math.abs(value) < 10 ? value.toFixed(2) : value.toFixed(Math.abs(value) < 100 ? 1 : 0);

/** Times are the better the less they are. */
function verdictOf({ value, unit, must, aim }: Measured): string {
  if (must === undefined || aim === undefined) return '';
  const reaches = (goal: number) => (unit === 'ms' || unit === 's' ? value <= goal : value >= goal);
  return reaches(aim) ? 'aim' : reaches(must) ? 'must' : 'missed';
}

const count = (findings: readonly Finding[], verdict: Finding['verdict']) =>
  findings.filter((finding) => finding.verdict === verdict).length;

/** The whole report as Markdown: conditions, a line for each stage, figures with their goals, and all that was wrong or left out. */
export function renderReport({ date, card, driver, commit }: Conditions, stages: readonly StageReport[]): string {
  const figures = stages.flatMap(({ findings }) => findings.filter(({ measured }) => measured));
  const told = stages.flatMap(({ stage, findings }) =>
    findings
      .filter(({ verdict }) => verdict === 'wrong' || verdict === 'skipped')
      .map(({ what, verdict, text }) => `- ${verdict}: ${stage}: ${what}: ${text.replaceAll('\n', ' ')}`),
  );
  return [
    '# CUDA backend on a device',
    '',
    `- ${date}, commit ${commit}`,
    `- ${card}, driver ${driver}`,
    ...(figures.length > 0
      ? ['- random weights, cache F16; goals are those of one H200; a share is of the copy bandwidth of the same run']
      : []),
    '',
    '| stage | ok | wrong | skipped | seconds |',
    '|---|---|---|---|---|',
    ...stages.map(
      ({ stage, seconds, findings }) =>
        `| ${stage} | ${count(findings, 'ok')} | ${count(findings, 'wrong')} | ${count(findings, 'skipped')} | ${seconds.toFixed(1)} |`,
    ),
    '',
    ...(figures.length > 0
      ? [
          '| figure | value | share | must | aim | reached | |',
          '|---|---|---|---|---|---|---|',
          ...figures.map(({ what, text, measured }) => {
            const { value, unit, share, must, aim } = measured!;
            const cells = [share, must, aim].map((one) => (one === undefined ? '' : digits(one)));
            return `| ${what} | ${digits(value)}${unit === 'share' ? '' : ` ${unit}`} | ${cells.join(' | ')} | ${verdictOf(measured!)} | ${text} |`;
          }),
          '',
        ]
      : []),
    ...told,
    ...(told.length > 0 ? [''] : []),
  ].join('\n');
}
