import { isDeepStrictEqual } from 'node:util';
import type { Backend } from '@helexa/graph';
import { backendSuite, type SuiteAssertions } from '@helexa/graph/conformance';
import type { Finding } from './finding.js';

class Assertions implements SuiteAssertions {
  readonly wrong: string[] = [];

  true(actual: unknown, message = 'is not true'): void {
    if (actual !== true) this.wrong.push(message);
  }

  deepEqual(actual: unknown, expected: unknown, message = 'is not equal'): void {
    if (!isDeepStrictEqual(actual, expected)) this.wrong.push(message);
  }

  fail(message = 'failed'): void {
    this.wrong.push(message);
  }
}

/** Runs the conformance suite, or the first `most` of its tests that the filter takes; one finding each. */
export async function checkConformance(
  open: () => Promise<Backend>,
  filter: RegExp,
  tell: (finding: Finding) => void,
  most = Number.POSITIVE_INFINITY,
): Promise<void> {
  const tests: { readonly title: string; readonly body: (t: SuiteAssertions) => Promise<void> }[] = [];
  backendSuite((title, body) => tests.push({ title, body }), { name: 'cuda', backend: open });
  for (const { title, body } of tests.filter(({ title: one }) => filter.test(one)).slice(0, most)) {
    const t = new Assertions();
    try {
      await body(t);
    } catch (error) {
      t.fail(error instanceof Error ? error.message : String(error));
    }
    tell({ what: title, verdict: t.wrong.length === 0 ? 'ok' : 'wrong', text: t.wrong.join('; ') });
  }
}
