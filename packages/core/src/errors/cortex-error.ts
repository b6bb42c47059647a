import { type ErrorCode, type ErrorDetails, errorRow } from './catalogue.js';

const brand = Symbol.for('helexa.cortex-error');

/**
 * Every error that leaves a package: a code of the catalogue, the values its message was made of, and the cause.
 *
 * @example
 * throw new CortexError('model_not_found', { model: 'org/name' });
 */
export class CortexError<Code extends ErrorCode = ErrorCode> extends Error {
  readonly [brand] = true;
  readonly code: Code;
  readonly details: ErrorDetails<Code>;

  constructor(code: Code, details: ErrorDetails<Code>, options: { cause?: unknown } = {}) {
    super(errorRow(code).message(details as never), options);
    this.name = 'CortexError';
    this.code = code;
    this.details = details;
  }

  /** HTTP status that this error answers with. */
  get status(): number {
    return errorRow(this.code).status;
  }

  /** Process exit code of a command that fails with this error. */
  get exit(): number {
    return errorRow(this.code).exit;
  }

  /** What the person who reads this should do next, when the catalogue knows. */
  get suggestion(): string | undefined {
    return errorRow(this.code).suggestion?.(this.details as never);
  }

  /** True for errors of any copy of this package: a plugin may carry its own. */
  static isInstance(value: unknown): value is CortexError {
    return typeof value === 'object' && value !== null && brand in value;
  }
}
