/**
 * Compares models with what an independent implementation computed: logits of every position and the tokens that follow,
 * with the prompt fed whole, in chunks, token by token and in a mixed batch. A folder of chat templates with their
 * `cases.json` is compared text by text. A table of all settings ends the report.
 *
 * @example npm run parity -- --device all --tp all path/to/checkpoints path/to/gguf/index.json path/to/templates
 */
import { parseArgs } from 'node:util';
import { CortexError } from '@helexa/core';
import type { KvFormat } from '@helexa/graph';
import { checkModel } from './parity/check-model.js';
import { checkTemplates, holdsTemplates } from './parity/check-templates.js';
import { findParityModels } from './parity/parity-cases.js';
import type { ParityLine, ParityVerdict } from './parity/parity-line.js';
import type { FeedMode } from './parity/run-cases.js';
import { type ParityColumn, summaryTable, wrongRefusals } from './parity/summary.js';
import { openBackend } from './shared/open-backend.js';
import { runTool } from './shared/run-tool.js';

const modes: Readonly<Record<string, readonly FeedMode[]>> = {
  whole: [{ name: 'whole', chunk: Number.POSITIVE_INFINITY, together: false }],
  chunked: [7, 64].map((chunk) => ({ name: `chunked-${chunk}`, chunk, together: false })),
  token: [{ name: 'token', chunk: 1, together: false }],
  batch: [{ name: 'batch', chunk: 17, together: true }],
};

/** What `all` stands for. */
const everyTp = '1,2,4';
const everyIsa = 'amx,avx512,avx2,portable';
const everyDevice = 'reference,cpu';

interface Target {
  readonly device: string;
  readonly isa: string;
}

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      device: { type: 'string', default: 'cpu' },
      isa: { type: 'string', default: 'auto' },
      tp: { type: 'string', default: '1' },
      mode: { type: 'string', default: 'all' },
      library: { type: 'string' },
      kv: { type: 'string', default: 'F32' },
      json: { type: 'boolean', default: false },
      'skip-unsupported': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const chosen = values.mode === 'all' ? Object.values(modes).flat() : modes[values.mode];
  const ranks = (values.tp === 'all' ? everyTp : values.tp).split(',').map(Number);
  const isGood = chosen !== undefined && /^(?:F32|F16|BF16)$/.test(values.kv) && ranks.every((count) => count >= 1);
  if (values.help || positionals.length === 0 || !isGood) {
    console.error(
      'Usage: npm run parity -- [--device cpu|cuda|reference|all] [--isa auto|amx|avx512|avx2|portable|all] [--tp N,...|all]\n' +
        '  [--mode whole|chunked|token|batch|all] [--kv F32|F16|BF16] [--library FILE] [--skip-unsupported] [--json] PATH...\n' +
        `'--device all' is ${everyDevice} with every instruction set that this machine has, '--tp all' is ${everyTp}; '--library' is for cuda.\n` +
        'PATH is a checkpoint with expected/cases.json, a GGUF index.json, a folder of either, or one of chat templates.',
    );
    return values.help ? 0 : 2;
  }
  const lines: ParityLine[] = [];
  const report = (line: ParityLine) => {
    lines.push(line);
    console.log(values.json ? JSON.stringify({ ...line, ...line.figures }) : lineText(line));
  };
  const modelPaths: string[] = [];
  for (const path of positionals) {
    if (holdsTemplates(path)) reportTemplates(path, report);
    else modelPaths.push(path);
  }
  const models = modelPaths.flatMap((path) => findParityModels(path));
  const columns: ParityColumn[] = [];
  for (const { device, isa } of modelPaths.length > 0 ? targetsOf(values.device, values.isa) : []) {
    const backend = await openIfPresent(
      { device, isa, library: values.library },
      values.isa === 'all' || values.device === 'all',
    );
    if (!backend) continue;
    try {
      for (const count of ranks) {
        const setting = `${device === 'cpu' ? `cpu:${isa}` : device} tp${count}`;
        const settings = {
          backend,
          ranks: count,
          kv: values.kv as KvFormat,
          modes: chosen,
          skipsUnsupported: values['skip-unsupported'],
          checksTokenizer: columns.length === 0,
        };
        columns.push({ setting, ranks: count });
        for (const model of models) await checkModel(model, settings, (line) => report({ ...line, setting }));
      }
    } finally {
      await backend.dispose();
    }
  }
  const wrong = wrongRefusals(lines, columns);
  const count = (verdict: ParityVerdict) => lines.filter((line) => line.verdict === verdict).length;
  if (!values.json) {
    if (columns.length > 1) for (const row of ['', ...summaryTable(lines, columns), '']) console.log(row);
    for (const text of wrong) console.log(`FAIL    ${text}`);
    console.log(
      `${count('ok')} ok, ${count('FAIL') + wrong.length} failed, ${count('refused')} refused, ${count('skipped')} skipped`,
    );
  }
  return count('FAIL') > 0 || wrong.length > 0 || count('ok') === 0 ? 1 : 0;
}

function targetsOf(device: string, isa: string): readonly Target[] {
  const devices = device === 'all' ? everyDevice.split(',') : [device];
  const everySet = isa === 'all' || (device === 'all' && isa === 'auto');
  return devices.flatMap((name) => {
    const sets = name === 'cpu' && everySet ? everyIsa.split(',') : [isa];
    return sets.map((set) => ({ device: name, isa: set }));
  });
}

/** A backend; null where all are wanted and this machine lacks one, which is said aloud. */
async function openIfPresent(
  { device, isa, library }: Target & { readonly library: string | undefined },
  wantsAll: boolean,
) {
  try {
    return await openBackend(device, isa, library);
  } catch (error) {
    if (!wantsAll || !CortexError.isInstance(error) || error.code !== 'backend_unavailable') throw error;
    console.error(error.message);
    return null;
  }
}

function reportTemplates(path: string, report: (line: ParityLine) => void): void {
  for (const { template, cases, failed } of checkTemplates(path))
    report({
      model: template,
      setting: '-',
      case: 'template',
      mode: '-',
      verdict: failed.length === 0 ? 'ok' : 'FAIL',
      text: `${cases - failed.length} of ${cases} renderings${failed.length > 0 ? `; wrong: ${failed.join(' ')}` : ''}`,
    });
}

function lineText({ model, setting, case: name, mode, verdict, text }: ParityLine): string {
  return `${verdict.padEnd(7)} ${model.padEnd(22)} ${setting.padEnd(16)} ${name.padEnd(9)} ${mode.padEnd(10)} ${text}`;
}

await runTool(main);
