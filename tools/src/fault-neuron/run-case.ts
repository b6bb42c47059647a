import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FaultCase } from './cases.js';
import { openRig } from './rig.js';

export interface CaseOutcome {
  readonly checks: number;
  /** What did not hold, in words. */
  readonly wrong: readonly string[];
}

/** Runs one case in a folder of its own and ends every process that it started. */
export async function runCase(fault: FaultCase, device: string): Promise<CaseOutcome> {
  const folder = await mkdtemp(join(tmpdir(), 'cortex-faults-'));
  const rig = await openRig(folder, device);
  const wrong: string[] = [];
  let checks = 0;
  try {
    await fault.run(rig, (holds, words) => {
      checks += 1;
      if (!holds) wrong.push(words);
    });
  } catch (error) {
    wrong.push(`it ended with ${error instanceof Error ? error.stack : String(error)}`);
  } finally {
    await rig.close();
    await rm(folder, { recursive: true, force: true });
  }
  return { checks, wrong };
}
