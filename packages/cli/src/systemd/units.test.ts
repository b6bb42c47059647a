import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';

const run = promisify(execFile);
const folder = fileURLToPath(new URL('../../../../examples/systemd', import.meta.url));
const hasTool = await run('systemd-analyze', ['--version']).then(
  () => true,
  () => false,
);

for (const name of ['cortex-neuron.service', 'cortex-gateway.service']) {
  test(`${name} passes systemd-analyze verify, and exposes little`, async (t) => {
    if (!hasTool) {
      t.log('systemd-analyze is not on this machine: the unit was not verified');
      t.pass();
      return;
    }
    const temporary = await mkdtemp(join(tmpdir(), 'cortex-units-'));
    t.teardown(() => rm(temporary, { recursive: true, force: true }));
    const unit = join(temporary, name);
    // The command of the unit is not installed here; a program that is stands in for it.
    const text = (await readFile(join(folder, name), 'utf8')).replace('/usr/bin/cortex', process.execPath);
    await writeFile(unit, text);
    const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', '--recursive-errors=no', unit]);
    t.is(stdout + stderr, '');
    const { stdout: security } = await run('systemd-analyze', ['security', '--offline=true', '--no-pager', unit]);
    const level = Number(/exposure level for \S+: (\d+\.\d+)/.exec(security)?.[1]);
    t.true(level <= 2, `${level} of 10`);
  });
}

test('the neuron unit gives its daemon longer to stop than the daemon takes by default', async (t) => {
  const text = await readFile(join(folder, 'cortex-neuron.service'), 'utf8');
  const stopSeconds = Number(/^TimeoutStopSec=(\d+)$/m.exec(text)?.[1]);
  // To drain, to free models, to end devices, each at its bound, and the last bytes.
  t.true(stopSeconds > 20 + 20 + 20 + 1);
});
