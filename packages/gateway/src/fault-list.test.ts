import { readFileSync } from 'node:fs';
import test from 'ava';

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

const counts = { F: 14, C: 6, N: 4, G: 9, S: 7 };
const codes = Object.entries(counts).flatMap(([kind, most]) =>
  Array.from({ length: most }, (_, index) => `${kind}${index + 1}`),
);

/** What stands before the colon in the name of each test of a file. */
const codesIn = (path: string): string[] =>
  [...read(`src/${path}`).matchAll(/\btest\(\s*[`'"]([^:`'"]*):/g)].map(([, name]) => name as string);

test('every fault of the list has tests of its name, in each of the files that the table says', (t) => {
  const rows = [...read('design.md').matchAll(/^\| ([FCNGS]\d+) \|[^|]*\| (.*) \|$/gm)];
  t.deepEqual(
    rows.map(([, code]) => code),
    codes,
  );
  for (const [, code, files = ''] of rows) {
    const paths = [...files.matchAll(/`([^`]*)`/g)].map(([, path]) => path as string);
    t.true(paths.length > 0, code);
    for (const path of paths) {
      const named = codesIn(path).some((names) => new RegExp(`\\b${code}\\b`).test(names));
      t.true(named, `${code} in ${path}`);
    }
  }
});
