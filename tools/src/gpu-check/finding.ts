/** One thing that a stage found: `figure` was measured, `skipped` was not looked at and says why. */
export interface Finding {
  readonly what: string;
  readonly verdict: 'ok' | 'wrong' | 'figure' | 'skipped';
  readonly text: string;
  /** Where it stands in the table of goals. */
  readonly measured?: Measured;
}

/** A figure, and for what reads all weights the share of the device's copy bandwidth that it reaches. */
export interface Measured {
  readonly value: number;
  readonly unit: 'tokens/s' | 'ms' | 's' | 'GB/s' | 'share';
  readonly share?: number;
  readonly must?: number;
  readonly aim?: number;
}

/** Begins a line of a stage's output that is a finding; what else a stage prints is kept in its log. */
const mark = '@finding ';

/** A finding as a stage prints it. */
export const findingLine = (finding: Finding): string => `${mark}${JSON.stringify(finding)}`;

/** The finding of a printed line, or null. */
export const readFinding = (line: string): Finding | null =>
  line.startsWith(mark) ? (JSON.parse(line.slice(mark.length)) as Finding) : null;

/** Prints a finding at once: a stage that is stopped has told what it found. */
export const tell = (finding: Finding): void => console.log(findingLine(finding));
