import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { root } from './prepare.js';

/**
 * Runs a program that speaks TAP: shows what failed with its diagnostics, counts `# pass` and `# fail`, and adds one failure
 * when the program fails without having named any.
 */
export function runTap(args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    let passed = 0;
    let failed = 0;
    let skipped = 0;
    let showing = false;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const count = /^# (pass|fail|skip) (\d+)/.exec(line);
      if (count?.[1] === 'pass') passed += Number(count[2]);
      else if (count?.[1] === 'fail') failed += Number(count[2]);
      else if (count) skipped += Number(count[2]);
      if (/^ok\b/.test(line) || /^# /.test(line)) showing = false;
      else if (/^not ok\b/.test(line)) showing = !/# (SKIP|TODO)/.test(line);
      if (showing || (!/^(ok\b|# |TAP|1\.\.|---)/.test(line) && !/^\s/.test(line) && line !== ''))
        process.stdout.write(`${line}\n`);
    });
    child.on('close', (code) => {
      const crashed = code !== 0 && failed === 0;
      const notes = [
        ...(crashed ? [`ended with exit code ${code}`] : []),
        ...(skipped > 0 ? [`${skipped} skipped`] : []),
      ];
      resolve({ passed, failed: failed + (crashed ? 1 : 0), note: notes.join(', ') });
    });
  });
}
