import { catalogue, type ErrorCode, type ErrorRow } from '@helexa/core';

/** The reference page of every error: made from the catalogue, so it cannot fall behind. */
export function renderErrorsPage(): string {
  const codes = (Object.keys(catalogue) as ErrorCode[]).sort();
  const rows = codes.map((code) => {
    const row = catalogue[code] as unknown as ErrorRow<unknown>;
    const message = cell(row.message(placeholders()));
    const suggestion = cell(row.suggestion?.(placeholders()) ?? '');
    return `| \`${code}\` | ${row.status} | ${row.exit} | ${row.type} | ${message} | ${suggestion} |`;
  });
  return [
    '# Errors',
    '',
    'Every error of cortex has a code that never changes its meaning. Over HTTP it is `error.code`, with the status below; a',
    'command that fails with it ends with the exit code. Words in angle brackets stand for values.',
    '',
    '| code | status | exit | type | message | suggestion |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
    'Exit codes: 2 usage or configuration, 65 bad data, 66 missing input, 69 unavailable, 70 internal, 75 try again.',
    '',
  ].join('\n');
}

const cell = (text: string): string =>
  text
    .replaceAll('|', '\\|')
    .replace(/\s*\n\s*/g, ' ')
    .replace(/<([\w.]+)>/g, '&lt;$1&gt;');

/** Details whose every field is its own name in angle brackets, and which pass for texts, numbers and lists. */
function placeholders(): unknown {
  return new Proxy({}, { get: (_, name) => placeholder(String(name)) });
}

function placeholder(name: string): unknown {
  const text = `<${name}>`;
  const known: Readonly<Record<string, unknown>> = {
    length: 1,
    toString: () => text,
    toLowerCase: () => text,
    map: (each: (item: unknown) => unknown) => [each(placeholder(name))],
    slice: () => placeholder(name),
    join: () => text,
    0: text,
  };
  return new Proxy(
    {},
    {
      get: (_, key) => {
        if (key === Symbol.toPrimitive || key === 'valueOf') return () => text;
        if (key === Symbol.iterator) return () => [text][Symbol.iterator]();
        if (typeof key === 'symbol') return undefined;
        if (Object.hasOwn(known, key)) return known[key];
        const method = (text as unknown as Record<string, unknown>)[key];
        return typeof method === 'function' ? method.bind(text) : placeholder(`${name}.${key}`);
      },
    },
  );
}
