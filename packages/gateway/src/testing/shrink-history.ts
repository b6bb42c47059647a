import type { History, Step } from './fault-history.js';

/** A smaller history for which `fails` still holds: steps are left out, in ever smaller runs, and time between them. */
export const shrinkHistory = async (
  history: History,
  fails: (smaller: History) => Promise<boolean>,
): Promise<History> => {
  let steps: readonly Step[] = history.steps;
  const keep = async (smaller: readonly Step[]): Promise<boolean> => {
    if (!(await fails({ ...history, steps: smaller }))) return false;
    steps = smaller;
    return true;
  };
  for (let length = Math.ceil(steps.length / 2); length >= 1; length = Math.floor(length / 2)) {
    for (let at = 0; at < steps.length; ) {
      if (!(await keep([...steps.slice(0, at), ...steps.slice(at + length)]))) at += length;
    }
  }
  for (let at = 0; at < steps.length; at++) {
    const step = steps[at] as Step;
    if (step.thenMs > 0) await keep([...steps.slice(0, at), { ...step, thenMs: 0 }, ...steps.slice(at + 1)]);
  }
  return { ...history, steps };
};
