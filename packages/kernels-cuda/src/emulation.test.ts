import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';

const script = fileURLToPath(new URL('../native/emulation/run.sh', import.meta.url));
const compiler = process.env['CXX'] ?? 'g++';
const reason = spawnSync(compiler, ['--version']).status === 0 ? undefined : `no '${compiler}' on this machine`;

if (reason) test.skip(`emulation: not tested: ${reason}`, () => {});
else
  test('emulation finds missing barriers, lanes that never come and copies that nobody waited for', async (t) => {
    t.timeout(240_000);
    const { stdout } = await promisify(execFile)('bash', [script]);
    t.regex(stdout, /^ok {5}without the barrier the answer is wrong under every seed$/m);
    t.regex(stdout, /^0 failed\n$/m);
  });
