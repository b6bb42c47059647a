import test from 'ava';
import { renderMarkdown } from './report.js';
import { largeBody, smallBody, streamBytes } from './workload.js';

test('renderMarkdown says by how much a goal is missed, and shows no ratio without nginx', (t) => {
  const figure = { what: 'x', unit: 'us CPU' as const, gateway: 30, goal: 20 };
  t.regex(
    renderMarkdown([{ ...figure, bare: 12 }], ['idle']),
    /- idle\n[\s\S]*\| x \| 30\.0 us CPU \| 12\.0 us CPU \| - \| - \| 20\.0 us CPU \| missed by 1\.50x \|/,
  );
  t.regex(renderMarkdown([{ ...figure, gateway: 20, nginx: 10 }], []), /\| 2\.0x \| 20\.0 us CPU \| reached \|/);
});

test('workload: bodies have the sizes that the rows are named for, and a stream asks for one', (t) => {
  t.is(smallBody.length, 850);
  t.true(Math.abs(largeBody.length - 250_000) < 20_000, `${largeBody.length} bytes`);
  const { tools, messages } = JSON.parse(largeBody.toString()) as { tools: unknown[]; messages: unknown[] };
  t.deepEqual([tools.length, messages.length], [20, 100]);
  const [head = '', body = ''] = streamBytes('h', 3, 20).toString().split('\r\n\r\n');
  t.regex(head, /x-bench-chunks: 3\r\nx-bench-interval-ms: 20/);
  t.is((JSON.parse(body) as { stream: boolean }).stream, true);
});
