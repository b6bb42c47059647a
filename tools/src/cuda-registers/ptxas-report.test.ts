import test from 'ava';
import { parsePtxasReport } from './ptxas-report.js';

const report = `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z3addPf' for 'sm_90'
ptxas info    : Function properties for _Z3addPf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 18 registers, used 0 barriers
ptxas info    : Compile time = 3.1 ms
ptxas info    : Compiling entry function '_Z4normPf' for 'sm_90'
ptxas info    : Function properties for _Z4normPf
    16 bytes stack frame, 12 bytes spill stores, 24 bytes spill loads
ptxas info    : Used 128 registers, used 1 barriers, 128 bytes smem
`;

test('parsePtxasReport gives each kernel its own registers, spills and shared memory', (t) => {
  t.deepEqual(parsePtxasReport(report), [
    { kernel: '_Z3addPf', registers: 18, spillBytes: 0, stackBytes: 0, sharedBytes: 0 },
    { kernel: '_Z4normPf', registers: 128, spillBytes: 12, stackBytes: 16, sharedBytes: 128 },
  ]);
});
