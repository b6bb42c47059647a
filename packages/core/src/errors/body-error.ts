import type { z } from 'zod';
import { CortexError } from './cortex-error.js';

/** The refusal of a request body that a schema does not take, naming the field at fault. */
export const bodyError = (issues: readonly z.core.$ZodIssue[]): CortexError => {
  const issue = deepestIssue(issues);
  const param = issue.path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : index ? `.${String(step)}` : String(step)))
    .join('');
  if (param === 'model' && issue.code === 'invalid_type') return new CortexError('missing_model_field', {});
  return new CortexError('invalid_request_body', { ...(param ? { param } : {}), reason: lowerFirst(issue.message) });
};

/** Of a union's failures, the one that came furthest says most. */
const deepestIssue = (issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue => {
  const first = issues[0] as z.core.$ZodIssue;
  if (first.code !== 'invalid_union') return first;
  const inner = first.errors.flat();
  if (inner.length === 0) return first;
  const deepest = inner.reduce((best, issue) => (issue.path.length > best.path.length ? issue : best));
  const resolved = deepestIssue([deepest]);
  return resolved.path.length === 0 ? first : { ...resolved, path: [...first.path, ...resolved.path] };
};

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);
