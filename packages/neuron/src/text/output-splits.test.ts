import test from 'ava';
import fc from 'fast-check';
import type { OutputEvent } from './output-event.js';
import { detectOutputFormat, type OutputFormat, type ToolFormat } from './output-format.js';
import { OutputStream } from './output-stream.js';
import { pieceTokenizer } from './piece-tokenizer.fixture.js';
import { bareJson } from './tool-dialects/bare-json.js';
import { toolDialects } from './tool-dialects/choose-dialect.js';
import type { BareDialect, MarkedDialect, ParsedCall, ToolDialect } from './tool-dialects/tool-dialect.js';
import { writeCalls } from './tool-dialects/write-calls.fixture.js';

const encoder = new TextEncoder();
const marks = ['<think>', '</think>', '<tool_call>', '</tool_call>', bareJson.tag];
const tools = [
  {
    name: 'write',
    parameters: { properties: { path: { type: 'string' }, count: { type: 'integer' }, deep: { type: 'object' } } },
  },
  { name: 'now' },
];
const calls = [
  { name: 'write', arguments: { path: '/tmp/"ü" {🌦}\n', count: 3, deep: { a: ['}', '<b>'] } } },
  { name: 'now', arguments: {} },
];

/** What a chat template of each dialect has to hold to be taken for it. */
const templates: Readonly<Record<string, string>> = {
  'marked-json': '<tool_call> </think>',
  'marked-parameters': '<tool_call> <function= </think>',
  'bare-json': '{"name": " "parameters": ipython </think>',
};

/** Answers as models give them, and as they get them wrong. */
function corpus(dialect: ToolDialect): string[] {
  const [one, both] = [writeCalls(dialect.syntax, calls.slice(0, 1)), writeCalls(dialect.syntax, calls)];
  return [
    'Zürich: 21 °C 🌦\n\nBye\n',
    one,
    both,
    `Let me see.\n\n${both}\n`,
    `<think>\nIs it 東京?\n</think>\n\n${both}`,
    `<think>never closed ${one}`,
    `${one} and then?`,
    one.slice(0, -1),
    one.slice(0, one.length / 2),
    `<tool_call>\nnot a call\n</tool_call>\n${one}`,
    `</tool_call></think>${one}<tool_call>`,
    `<tool_call><think></think>${one}`,
    `${bareJson.tag}${one}; ${one}`,
    `a ${bareJson.tag}now.call()`,
    `a ${bareJson.tag}write.call(path="/tmp/ü", count="5")`,
    `${bareJson.tag}import os\n${bareJson.tag}`,
    '{"name": "Ann", "age": 5}',
    '{"name": "now"}; {"name": "gone"}',
    '<th<think><tool_<',
  ];
}

/** Token ids of an output: marks are tokens where the vocabulary has them, other text is cut at the given places. */
function idsOf(tokenizer: ReturnType<typeof pieceTokenizer>, output: string, cutAfter: (byte: number) => boolean) {
  const ids: number[] = [];
  for (const part of output.split(/(<\/?think>|<\/?tool_call>|<\|python_tag\|>)/)) {
    const mark = tokenizer.idOf(part);
    if (mark !== undefined) {
      ids.push(mark);
      continue;
    }
    const bytes = encoder.encode(part);
    let start = 0;
    for (let at = 0; at < bytes.length; at++) {
      if (!cutAfter(at) && at + 1 < bytes.length) continue;
      ids.push(tokenizer.idOfPiece(bytes.subarray(start, at + 1)));
      start = at + 1;
    }
  }
  return ids;
}

function run(tokenizer: ReturnType<typeof pieceTokenizer>, format: OutputFormat, ids: readonly number[]) {
  let made = 0;
  const newCallId = () => `call_${made++}`;
  const chat = { format, prompt: [], tools, newCallId };
  const stream = new OutputStream({ tokenizer, stops: [], chat });
  const events = [...ids.flatMap((id) => stream.push(id).events), ...stream.end()];
  return joined(events);
}

/** Neighbouring texts of one kind as one: how they were cut does not matter. */
function joined(events: readonly OutputEvent[]): OutputEvent[] {
  const out: OutputEvent[] = [];
  for (const event of events) {
    const last = out.at(-1);
    if (last !== undefined && last.type !== 'tool-call' && event.type !== 'tool-call' && event.type === last.type) {
      out[out.length - 1] = { ...last, text: last.text + event.text };
    } else out.push(event);
  }
  return out;
}

const setups = toolDialects.flatMap((dialect) =>
  // As tokens of the vocabulary, and as plain text that has to be found.
  [marks, [bareJson.tag]].map((own) => {
    const tokenizer = pieceTokenizer(own);
    return { dialect, tokenizer, format: detectOutputFormat(tokenizer, templates[dialect.name]!) };
  }),
);

test('OutputStream gives the same events whatever tokens an output comes in, in every dialect', (t) => {
  for (const { dialect, tokenizer, format } of setups) {
    t.is(format.tools?.dialect, dialect);
    for (const output of corpus(dialect)) {
      const whole = run(
        tokenizer,
        format,
        idsOf(tokenizer, output, () => false),
      );
      t.deepEqual(
        run(
          tokenizer,
          format,
          idsOf(tokenizer, output, () => true),
        ),
        whole,
        output,
      );
      for (let cut = 0; cut < encoder.encode(output).length; cut++) {
        t.deepEqual(
          run(
            tokenizer,
            format,
            idsOf(tokenizer, output, (byte) => byte === cut),
          ),
          whole,
          output,
        );
      }
    }
  }
});

test('OutputStream gives the same events for random tokens of random answers', (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom(...setups),
      fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }),
      ({ dialect, tokenizer, format }, choices, cuts) => {
        const all = corpus(dialect);
        const output = choices.map((choice) => all[choice % all.length]!).join('\n');
        const whole = run(
          tokenizer,
          format,
          idsOf(tokenizer, output, () => false),
        );
        t.deepEqual(
          run(
            tokenizer,
            format,
            idsOf(tokenizer, output, (byte) => cuts[byte % cuts.length]!),
          ),
          whole,
        );
      },
    ),
    { numRuns: 400 },
  );
});

test('OutputStream takes the calls that every dialect writes, in order and whole', (t) => {
  for (const { dialect, tokenizer, format } of setups) {
    const output = `<think>hm</think>${writeCalls(dialect.syntax, calls)}`;
    const events = run(
      tokenizer,
      format,
      idsOf(tokenizer, output, () => true),
    );
    t.deepEqual(
      events.flatMap((event) =>
        event.type === 'tool-call' ? [[event.index, event.name, JSON.parse(event.arguments)]] : [],
      ),
      calls.map((call, index) => [index, call.name, call.arguments]),
      dialect.name,
    );
    t.deepEqual(events[0], { type: 'reasoning', text: 'hm' });
    t.is(events.length, 3);
  }
});

/** A format whose dialect writes down the text of every call that it takes. */
function recording(format: OutputFormat, sources: string[]): OutputFormat {
  const keep: Keep = (parsed, source) => {
    // Several calls of one source are accounted for by the first.
    if (parsed !== null) sources.push(source, ...(Array.isArray(parsed) ? parsed.slice(1).map(() => '') : []));
    return parsed;
  };
  return { ...format, tools: format.tools && recordingTools(format.tools, keep) };
}

type Keep = <Parsed extends ParsedCall | readonly ParsedCall[] | null>(parsed: Parsed, source: string) => Parsed;

function recordingTools(format: ToolFormat, keep: Keep): ToolFormat {
  if (format.kind === 'marked') {
    const { dialect } = format;
    const parse: MarkedDialect['parse'] = (body, offered) =>
      keep(dialect.parse(body, offered), dialect.open + body + dialect.close);
    return { ...format, dialect: { ...dialect, parse } };
  }
  const { dialect } = format;
  const parse: BareDialect['parse'] = (object, offered) => keep(dialect.parse(object, offered), object);
  const parseTagged: BareDialect['parseTagged'] = (body, offered) => keep(dialect.parseTagged(body, offered), body);
  return { ...format, dialect: { ...dialect, parse, parseTagged } };
}

/** What tokens say with nothing told apart: the text of a mark, and each text between marks decoded on its own. */
function plainText(tokenizer: ReturnType<typeof pieceTokenizer>, ids: readonly number[]): string {
  const start = ids.findIndex((id) => tokenizer.addedIds.has(id));
  if (start < 0) return tokenizer.decode(ids);
  const rest = plainText(tokenizer, ids.slice(start + 1));
  return tokenizer.decode(ids.slice(0, start)) + tokenizer.tokenOf(ids[start]!) + rest;
}

test('OutputStream accounts for every byte: texts and the sources of calls joined are the output', (t) => {
  const hostile = fc.constantFrom(
    ...marks,
    ...['{', '}', '"', '\\', ':', ',', ';', '<', '>', '\n', ' ', 'name', 'now', 'write', 'parameters'],
    ...['<function=now>', '</function>', '<parameter=path>', '</parameter>', '{"name": "now"}', 'write.call(path="a")'],
    ...toolDialects.map((dialect) => writeCalls(dialect.syntax, calls)),
  );
  const bytes = fc.uint8Array({ maxLength: 12 });
  const answers = fc.array(fc.oneof(hostile, hostile, bytes), { maxLength: 16 });
  // What belongs to the format and not to the answer: marks of reasoning, the tag, blanks around marks, separators.
  const once = (text: string) => text.replaceAll(/<\/?think>|<\|python_tag\|>|[\s;,]/g, '');
  const essence = (text: string): string => (once(text) === text ? text : essence(once(text)));
  let taken = 0;
  fc.assert(
    fc.property(fc.constantFrom(...setups), answers, ({ tokenizer, format }, parts) => {
      const ids = parts.flatMap((part) => (typeof part === 'string' ? idsOf(tokenizer, part, () => true) : [...part]));
      const sources: string[] = [];
      const events = run(tokenizer, recording(format, sources), ids);
      taken += sources.length;
      const rebuilt = events.map((event) => (event.type === 'tool-call' ? sources.shift() : event.text)).join('');
      t.is(sources.length, 0);
      t.is(essence(rebuilt), essence(plainText(tokenizer, ids)));
    }),
    { numRuns: 1500 },
  );
  t.true(taken > 100, `${taken} calls`);
});
