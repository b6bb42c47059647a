import type { Backend, KvFormat } from '../backend.js';
import { referenceBackend } from '../backends/reference.js';
import type { SuiteAssertions, SuiteTest } from './architecture.suite.js';
import { contractCases } from './backend-contract.js';
import type { BackendCase } from './case.js';
import { backendCases } from './cases/index.js';
import { type CasePrograms, distance, fuseCase, lowerCase, runCase, type StepAnswer } from './run-case.js';

export interface BackendSuiteOptions {
  /** The backend, or what makes it; each test makes its own and disposes it. */
  readonly backend: () => Backend | Promise<Backend>;
  /** Begins the titles of the tests. */
  readonly name: string;
  /** Bounds of its own, by a case's `boundOf`, where the backend rounds otherwise than the suite assumes. */
  readonly bounds?: Readonly<Record<string, number>>;
  /** Cases that it does not pass, with the reason. */
  readonly skip?: Readonly<Record<string, string>>;
  /** It promises that a row's answer does not depend on the other rows of its step. */
  readonly batchInvariant?: boolean;
}

/** Log-probabilities are logarithms of float32 sums over the vocabulary. */
const logprobBound = 1e-4;

/**
 * What every backend is held to: each op against the reference in float64, as single instructions and fused as the backend
 * says it can, and the contract of loading and stepping. Each case also proves that its bound refuses a wrong answer.
 */
export function backendSuite(test: SuiteTest, options: BackendSuiteOptions): void {
  const { name, skip = {} } = options;
  for (const spec of backendCases) {
    if (spec.name in skip) continue;
    test(`${name}: ${spec.name}`, (t) => withBackend(options, (backend) => checkCase(t, spec, backend, options)));
  }
  for (const [title, check] of contractCases)
    test(`${name} ${title}`, (t) => withBackend(options, (backend) => check(t, backend)));
}

async function withBackend(options: BackendSuiteOptions, body: (backend: Backend) => Promise<void>): Promise<void> {
  const backend = await options.backend();
  try {
    await body(backend);
  } finally {
    await backend.dispose();
  }
}

async function checkCase(
  t: SuiteAssertions,
  spec: BackendCase,
  backend: Backend,
  { bounds = {}, batchInvariant = false }: BackendSuiteOptions,
): Promise<void> {
  const plain = lowerCase(spec, { mutated: false });
  const missing = spec.ops.filter((op) => !backend.ops.has(op));
  const formats = plain.parts.flatMap(({ tensors }) => tensors.map((tensor) => tensor.spec.format));
  const unknown = formats.filter((format) => !backend.weightFormats.has(format));
  if (missing.length > 0 || unknown.length > 0) {
    // Not an escape: a program with them is refused at load, which the compiler relies on.
    t.true(await refusesToLoad(backend, plain), `it has neither ${[...missing, ...unknown].join(', ')} nor a refusal`);
    return;
  }
  const fused = fuseCase(spec, plain, backend);
  const variants = fused.programs[0]!.text === plain.programs[0]!.text ? [plain] : [plain, fused];
  const bound = bounds[spec.boundOf] ?? spec.bound;
  const oracle = referenceBackend();
  const mutant = lowerCase(spec, { mutated: true });
  for (const kvFormat of (spec.kvFormats ?? ['F32']).filter((format) => backend.kvFormats.has(format))) {
    const wanted = await runCase(spec, oracle, plain, { kvFormat, mutated: false });
    const wrong = await runCase(spec, oracle, mutant, { kvFormat, mutated: true });
    t.true(isFar(wrong, wanted, bound), `the mutation passes (${spec.mutation}): ${describe(wrong, wanted)}`);
    for (const variant of variants) {
      const actual = await runCase(spec, backend, variant, { kvFormat, mutated: false });
      const how = variant === fused ? 'fused' : 'plain';
      t.true(!isFar(actual, wanted, bound), `${how}, ${kvFormat}: ${describe(actual, wanted)}; ${bound} is the bound`);
      if (batchInvariant) checkInvariance(t, spec, actual);
    }
  }
}

async function refusesToLoad(backend: Backend, { programs, limits }: CasePrograms): Promise<boolean> {
  const kvFormat: KvFormat = [...backend.kvFormats][0]!;
  try {
    const model = await backend.load({ programs, devices: programs.map(() => 0), limits, kvFormat });
    await model.dispose();
    return false;
  } catch {
    return true;
  }
}

/** Whether an answer is out of bounds: logits too far, another token or flag, a log-probability too far. */
function isFar(actual: readonly StepAnswer[], wanted: readonly StepAnswer[], bound: number): boolean {
  return (
    !(distance(comparable(actual, wanted), comparable(wanted, wanted)) <= bound) || choosesOtherwise(actual, wanted)
  );
}

/** Rows whose logits are flagged on both sides say nothing by their logits. */
function comparable(answers: readonly StepAnswer[], wanted: readonly StepAnswer[]): readonly StepAnswer[] {
  return answers.map((answer, step) => ({
    ...answer,
    logits: answer.logits.map((row, index) => (wanted[step]!.flags[index] === 0 ? row : new Float32Array(0))),
  }));
}

/**
 * Whether tokens, flags or log-probabilities differ. A greedy choice may differ where the two best logits are closer than
 * any bound on logits, so tokens only count where sampling is the subject; flags count always.
 */
function choosesOtherwise(actual: readonly StepAnswer[], wanted: readonly StepAnswer[]): boolean {
  return wanted.some((want, step) => {
    const have = actual[step]!;
    const close = (a: number, b: number): boolean => a === b || Math.abs(a - b) <= logprobBound;
    if (want.flags.some((flag, row) => flag !== have.flags[row])) return true;
    // Log-probabilities are reported for sampling cases only.
    if (want.top.every((row) => row[0]!.token === -1)) return false;
    return (
      want.tokens.some((token, row) => token !== have.tokens[row]) ||
      want.logprobs.some((logprob, row) => !close(have.logprobs[row]!, logprob)) ||
      want.top.some((row, index) =>
        row.some(({ token, logprob }, i) => {
          const other = have.top[index]![i]!;
          return token !== other.token || !close(other.logprob, logprob);
        }),
      )
    );
  });
}

/** The first row is the same token at the same place in every step of rows: it must answer the same to the last bit. */
function checkInvariance(t: SuiteAssertions, spec: BackendCase, answers: readonly StepAnswer[]): void {
  const alone = spec.steps.every((step) => step.sequences.length === 1 && step.sequences[0]!.start === 0);
  if (!alone || answers.length < 2) return;
  const [first] = answers;
  for (const [step, { logits }] of answers.entries())
    t.deepEqual(logits[0], first!.logits[0], `row 0 of step ${step} differs from the same row alone`);
}

function describe(actual: readonly StepAnswer[], wanted: readonly StepAnswer[]): string {
  const apart = distance(comparable(actual, wanted), comparable(wanted, wanted));
  return `distance ${apart.toExponential(2)}${choosesOtherwise(actual, wanted) ? ', other choices' : ''}`;
}
