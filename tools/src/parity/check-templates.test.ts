import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { checkTemplates, holdsTemplates } from './check-templates.js';

test('checkTemplates names the renderings that differ, errors included', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cortex-templates-'));
  try {
    t.false(holdsTemplates(folder));
    writeFileSync(join(folder, 'greet.jinja'), "{{ 'Hello ' + name }}{{ strftime_now('%d') }}");
    const context = { name: 'you', date_string: '26 Jul 2026' };
    const cases = [
      { case: 'right', context, expected: 'Hello you26' },
      { case: 'wrong text', context, expected: 'Hello you27' },
      { case: 'raises', context: { date_string: '26 Jul 2026' }, error: 'undefined' },
      { case: 'should have raised', context, error: 'anything' },
    ];
    writeFileSync(join(folder, 'cases.json'), JSON.stringify(cases.map((one) => ({ template: 'greet', ...one }))));
    t.true(holdsTemplates(folder));
    t.deepEqual(checkTemplates(folder), [
      { template: 'greet', cases: 4, failed: ['wrong text', 'should have raised'] },
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
