/** Lets the rest of the process run. */
export type YieldTurn = () => Promise<void>;

/** Runs a long computation to its end in slices of about `sliceMs`, with turns of the event loop in between. */
export async function runSliced<Result>(
  steps: Generator<void, Result, void>,
  {
    nowMs,
    yieldTurn,
    sliceMs,
  }: { readonly nowMs: () => number; readonly yieldTurn: YieldTurn; readonly sliceMs: number },
): Promise<Result> {
  let startedMs = nowMs();
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    if (nowMs() - startedMs < sliceMs) continue;
    await yieldTurn();
    startedMs = nowMs();
  }
}
