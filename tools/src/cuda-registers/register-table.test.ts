import test from 'ava';
import {
  type CompiledFile,
  findSpills,
  readDigests,
  renderTable,
  residentWarps,
  spillBudgetBytes,
} from './register-table.js';

const use = (kernel: string, registers: number, spillBytes = 0) => ({
  kernel,
  registers,
  spillBytes,
  stackBytes: spillBytes,
  sharedBytes: 128,
});
const files: CompiledFile[] = [
  {
    file: 'ops/add.cu',
    digest: '0123456789ab',
    targets: new Map([
      ['80', [use('add', 18)]],
      ['90', [use('add', 128, spillBudgetBytes + 1)]],
    ]),
  },
];

test('findSpills names what spills more than the budget, and on which target', (t) => {
  t.deepEqual(
    findSpills(files, (name) => `<${name}>`),
    [`ops/add.cu on sm_90: <add> spills ${spillBudgetBytes + 1} bytes`],
  );
});

test('renderTable has a row for each kernel and a digest that readDigests finds', (t) => {
  const table = renderTable(files, ['80', '90'], 'nvcc 13.0', (name) => name);
  t.true(table.includes(`| add | 18 | 128 +${spillBudgetBytes + 1} | 128 | 16 |`), table);
  t.deepEqual([...readDigests(table)], [['ops/add.cu', '0123456789ab']]);
});

test('residentWarps rounds registers up to eights and stops at 64', (t) => {
  t.deepEqual([20, 32, 33, 64, 65, 128, 255].map(residentWarps), [64, 64, 51, 32, 28, 16, 8]);
});
