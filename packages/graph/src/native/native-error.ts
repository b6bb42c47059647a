import { CortexError } from '@helexa/core';
import type { NativeFailure } from './binding.js';

/** Names that native code does not know, or knows by index only. */
export interface NativeErrorContext {
  readonly backend: string;
  readonly tensor?: string;
  readonly files?: readonly string[];
}

/** Order of `Code` in native/cortex/runtime/status.h; 0 is success. */
const codes = [
  'ok',
  'program_invalid',
  'step_invalid',
  'upload_invalid',
  'out_of_memory',
  'disposed',
  'device_lost',
  'file_invalid',
] as const;

/** The typed error that a native status stands for. */
export function toCortexError(
  failure: NativeFailure,
  { backend, tensor = 'model', files = [] }: NativeErrorContext,
): CortexError {
  const [code, instruction, wantBytes, haveBytes, message] = failure;
  switch (codes[code]) {
    case 'program_invalid':
      return new CortexError('program_invalid', { instruction, reason: message });
    case 'step_invalid': {
      const blank = message.indexOf(' ');
      return new CortexError('step_invalid', { field: message.slice(0, blank), reason: message.slice(blank + 1) });
    }
    case 'upload_invalid':
      return new CortexError('upload_invalid', { tensor, reason: message });
    case 'out_of_memory':
      return new CortexError('out_of_memory', { what: message, wantBytes, haveBytes });
    case 'device_lost':
      return new CortexError('device_lost', { backend, reason: message });
    case 'file_invalid':
      return new CortexError('checkpoint_invalid', { file: files[instruction] ?? 'checkpoint', reason: message });
    case 'disposed':
      return new CortexError('disposed', { what: message });
    default:
      return new CortexError('internal_error', { reason: `native status ${code}: ${message}` });
  }
}
