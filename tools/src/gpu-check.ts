/**
 * Proves the CUDA backend on the card of this machine: builds for it or takes a library, then runs the conformance suite, figures
 * on random weights, parity with fixtures and compute-sanitizer, each in a process of its own with a limit. What is found is
 * written to a folder as it comes, and a short report is printed last. Ends with 0, with 1 where something is wrong, and
 * with 69 where there is no driver, device or library.
 *
 * @example npm run gpu-check -- --out build/gpu --commit abc1234 --fixtures path/to/checkpoints
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { checkConformance } from './gpu-check/conformance.js';
import { figureGroups, measureFigures } from './gpu-check/figures.js';
import { type Finding, tell } from './gpu-check/finding.js';
import { openDevice, type StageOptions } from './gpu-check/open-device.js';
import { type Conditions, renderReport, type StageReport } from './gpu-check/report.js';
import { runStage } from './gpu-check/run-stage.js';
import { checkSmoke } from './gpu-check/smoke.js';
import { kernelsFolder, stagesOf } from './gpu-check/stages.js';
import { runTool } from './shared/run-tool.js';

const unavailable = 69;
const most = 8192;

function readWords(args: string[]) {
  return parseArgs({
    args,
    options: {
      stage: { type: 'string' },
      library: { type: 'string' },
      filter: { type: 'string', default: '' },
      layers: { type: 'string', default: '1000' },
      most: { type: 'string', default: String(most) },
      'copy-bandwidth': { type: 'string', default: 'NaN' },
      fixtures: { type: 'string', multiple: true, default: [] },
      native: { type: 'string' },
      cases: { type: 'string' },
      stages: { type: 'string' },
      out: { type: 'string', default: 'gpu-check-results' },
      commit: { type: 'string', default: 'unknown' },
      minutes: { type: 'string', default: '9' },
      help: { type: 'boolean', default: false },
    },
  }).values;
}
type Words = ReturnType<typeof readWords>;

await runTool(async (args) => {
  const words = readWords(args);
  const areNumbersFine = [words.layers, words.most, words.minutes].every((text) => Number(text) > 0);
  if (words.help || !areNumbersFine) {
    console.error(
      'Usage: npm run gpu-check -- [--library FILE] [--fixtures PATH]... [--out DIR] [--commit ID] [--minutes N]\n' +
        '  [--stages A,B] [--filter CASES] [--layers N] [--most TOKENS] [--native PROGRAM --cases FILE]',
    );
    return words.help ? 0 : 2;
  }
  return words.stage === undefined ? runAll(words) : runOne(words, words.stage);
});

/** The work of one stage, in the process that its parent started for it. */
async function runOne(words: Words, stage: string): Promise<number> {
  const options: StageOptions = {
    library: words.library ?? null,
    filter: new RegExp(words.filter),
    layers: Number(words.layers),
  };
  const group = figureGroups[stage];
  if (stage === 'smoke') await checkSmoke(options);
  else if (stage === 'conformance') await checkConformance(() => openDevice(options), options.filter, tell);
  else if (group) {
    const backend = await openDevice(options);
    try {
      const { layers } = options;
      await measureFigures(group, backend, {
        layers,
        copyBandwidth: Number(words['copy-bandwidth']),
        most: Number(words.most),
        tell,
        now: () => process.hrtime.bigint(),
      });
    } finally {
      await backend.dispose();
    }
  } else return 2;
  return 0;
}

/** Name, compute capability and driver of the first card, as the driver's own tool says them. */
function askDriver(): { readonly card: string; readonly capability: string | null; readonly driver: string } {
  const asked = spawnSync('nvidia-smi', ['--query-gpu=name,compute_cap,driver_version', '--format=csv,noheader'], {
    encoding: 'utf8',
  });
  const [card, capability, driver] = asked.status === 0 ? (asked.stdout.split('\n')[0] ?? '').split(', ') : [];
  return {
    card: card ?? 'unknown card',
    capability: capability?.replace('.', '').trim() ?? null,
    driver: driver ?? 'unknown',
  };
}

async function runAll(words: Words): Promise<number> {
  const out = resolve(words.out);
  mkdirSync(out, { recursive: true });
  const { capability, ...card } = askDriver();
  const conditions: Conditions = { date: new Date().toISOString().slice(0, 10), ...card, commit: words.commit };
  const library = words.library === undefined ? null : resolve(words.library);
  const shared = [
    ...(library === null ? [] : ['--library', library]),
    ...['--filter', words.filter, '--layers', words.layers, '--most', words.most],
  ];
  const native =
    words.native === undefined || words.cases === undefined
      ? null
      : {
          program: resolve(words.native),
          cases: resolve(words.cases),
          library: library ?? join(kernelsFolder(), 'lib/libcortex_cuda.so'),
        };
  let copyBandwidth = Number.NaN;
  const stages = stagesOf({
    folder: dirname(fileURLToPath(import.meta.url)),
    shared,
    library,
    capability,
    fixtures: words.fixtures.map((path) => resolve(path)),
    native,
    copyBandwidth: () => copyBandwidth,
  });
  const chosen = words.stages?.split(',') ?? stages.map(({ name }) => name);
  const end = Date.now() + Number(words.minutes) * 60_000;
  const reports: StageReport[] = [];
  const lines = join(out, 'findings.jsonl');
  writeFileSync(lines, '');
  for (const { name, limit, plan } of stages.filter(({ name: one }) => chosen.includes(one))) {
    const begun = Date.now();
    const findings: Finding[] = [];
    const take = (finding: Finding) => {
      findings.push(finding);
      appendFileSync(lines, `${JSON.stringify({ stage: name, ...finding })}\n`);
      if (finding.what === 'copy bandwidth') copyBandwidth = (finding.measured?.value ?? Number.NaN) * 1e9;
      if (finding.verdict !== 'ok')
        console.log(`${finding.verdict.padEnd(8)} ${name}: ${finding.what}: ${figureText(finding)}`);
    };
    const work = plan();
    const left = end - begun;
    let exitCode: number | null = 0;
    if (typeof work === 'string') take({ what: 'the stage', verdict: 'skipped', text: work });
    else if (left < 5000)
      take({ what: 'the stage', verdict: 'skipped', text: `the ${words.minutes} minutes are over` });
    else {
      const limitMs = Math.min(limit * 1000, left);
      ({ exitCode } = await runStage({ ...work, log: join(out, `${name}.log`), limitMs }, take));
    }
    reports.push({ stage: name, seconds: (Date.now() - begun) / 1000, findings });
    const good = findings.filter(({ verdict }) => verdict === 'ok').length;
    console.log(`${name}: ${good} ok, ${wrongIn(findings)} wrong, ${((Date.now() - begun) / 1000).toFixed(1)} s`);
    writeFileSync(join(out, 'cuda.md'), renderReport(conditions, reports));
    if (name === 'smoke' && exitCode === unavailable) {
      console.error(`Nothing is checked: ${findings.at(-1)?.text}`);
      return unavailable;
    }
  }
  console.log(`\n${renderReport(conditions, reports)}`);
  const wrong = reports.reduce((sum, { findings }) => sum + wrongIn(findings), 0);
  const good =
    reports.flatMap(({ findings }) => findings).filter(({ verdict }) => verdict !== 'skipped').length - wrong;
  console.log(`${good} found good, ${wrong} wrong; all of it is in ${out}`);
  return wrong > 0 || good === 0 ? 1 : 0;
}

function wrongIn(findings: readonly Finding[]): number {
  return findings.filter(({ verdict }) => verdict === 'wrong').length;
}

function figureText({ text, measured }: Finding): string {
  return [measured ? `${measured.value.toPrecision(4)} ${measured.unit}` : '', text].filter(Boolean).join(', ');
}
