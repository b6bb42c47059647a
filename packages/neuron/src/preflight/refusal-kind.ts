import { type CortexError, toOpenAiError } from '@helexa/core';

/** The word that tells programs why a load was refused: `kind` of the error's body, else its code. */
export function refusalKind(error: CortexError): string {
  const { kind, code } = toOpenAiError(error, 'neuron').body.error;
  return typeof kind === 'string' ? kind : code;
}
