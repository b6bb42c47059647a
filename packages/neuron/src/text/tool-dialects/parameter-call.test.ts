import test from 'ava';
import { parseParameterCalls } from './parameter-call.js';

const tools = [
  {
    name: 'write',
    parameters: {
      properties: {
        text: { type: 'string' },
        count: { type: 'integer' },
        ratio: { type: ['number', 'null'] },
        deep: { anyOf: [{ type: 'object' }, { type: 'null' }] },
        flag: { type: 'boolean' },
      },
    },
  },
];

const argumentsOf = (body: string) =>
  parseParameterCalls(body, tools)?.map((call) => JSON.parse(call.arguments) as unknown);

test('parseParameterCalls gives each value the type that the schema declares', (t) => {
  const body = [
    '<function=write>',
    '<parameter=text>\n  indented\n123\n</parameter>',
    '<parameter=count>\n42\n</parameter>',
    '<parameter=ratio>null</parameter>',
    '<parameter=deep>{"a": [1]}</parameter>',
    '<parameter=flag>yes</parameter>',
    '<parameter=other>[1, 2]</parameter>',
    '</function>',
  ].join('\n');
  t.is(parseParameterCalls(body, tools)?.[0]?.name, 'write');
  t.deepEqual(argumentsOf(body), [
    { text: '  indented\n123', count: 42, ratio: null, deep: { a: [1] }, flag: 'yes', other: [1, 2] },
  ]);
});

test('parseParameterCalls takes a value without its close up to the next parameter or the end', (t) => {
  const body = '<function=write>\n<parameter=text>\na\n<parameter=count>\n1\n</function>';
  t.deepEqual(argumentsOf(body), [{ text: 'a', count: 1 }]);
  t.deepEqual(argumentsOf('<function=write>\n<parameter=text>\na\n'), [{ text: 'a' }]);
});

test('parseParameterCalls leaves a close inside of a value to the value', (t) => {
  const text = 'if x:\n</parameter> is a tag\n';
  const body = `<function=write>\n<parameter=text>\n${text}\n</parameter>\n</function>`;
  t.deepEqual(argumentsOf(body), [{ text }]);
});

test('parseParameterCalls reads several functions apart', (t) => {
  const body = '<function=write><parameter=count>1</parameter></function>\n<function=other></function>';
  t.deepEqual(
    parseParameterCalls(body, tools)?.map((call) => [call.name, call.arguments]),
    [
      ['write', '{"count": 1}'],
      ['other', '{}'],
    ],
  );
});

test('parseParameterCalls lets the last of two equal keys stand, as JSON does', (t) => {
  const body = '<function=write><parameter=count>1</parameter><parameter=count>2</parameter></function>';
  t.is(parseParameterCalls(body, tools)?.[0]?.arguments, '{"count": 2}');
});

test('parseParameterCalls takes nothing for a call that holds other text', (t) => {
  for (const body of [
    '',
    'call <function=write></function>',
    '<function=></function>',
    '<function=write>please<parameter=count>1</parameter></function>',
    '<function=write><parameter=count>1</parameter></function> done',
    '<function=write><parameter=count',
    '<parameter=count>1</parameter>',
  ]) {
    t.is(parseParameterCalls(body, tools), null, body);
  }
});
