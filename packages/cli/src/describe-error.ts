import { CortexError } from '@helexa/core';

/** An error as a person and `--json` see it. */
export interface DescribedError {
  readonly code: string;
  readonly message: string;
  readonly suggestion?: string;
  readonly exit: number;
}

const isOclifError = (error: unknown): boolean => typeof error === 'object' && error !== null && 'oclif' in error;

/** Describes any error; null for those of the command line parser, which oclif prints with its own help. */
export function describeError(error: unknown): DescribedError | null {
  if (CortexError.isInstance(error)) {
    const { code, message, suggestion, exit } = error;
    return { code, message, ...(suggestion === undefined ? {} : { suggestion }), exit };
  }
  if (isOclifError(error)) return null;
  const reason = error instanceof Error ? error.message : String(error);
  return describeError(new CortexError('internal_error', { reason }, { cause: error }));
}

/** Describes an error of the command line parser. */
export function describeUsage(error: Error): DescribedError {
  const { oclif } = error as Error & { oclif?: { exit?: number } };
  return { code: 'usage', message: error.message, exit: oclif?.exit ?? 2 };
}
