import test from 'ava';
import { parseJsonCall, parseToolCall, parseXmlCall } from './tool-calls.js';

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

test('parseJsonCall keeps the arguments as the model spelled them', (t) => {
  t.deepEqual(parseJsonCall('\n{"name": "f", "arguments": {"id": 12345678901234567890, "x": 1.0}}\n'), {
    name: 'f',
    arguments: '{"id": 12345678901234567890, "x": 1.0}',
  });
  t.deepEqual(parseJsonCall('{"arguments":{"a":"}\\"{"},"name":"f"}'), { name: 'f', arguments: '{"a":"}\\"{"}' });
  t.deepEqual(parseJsonCall('{"name":"f"}'), { name: 'f', arguments: '{}' });
  t.deepEqual(parseJsonCall('{"name":"f","arguments":"{\\"a\\":1}"}'), { name: 'f', arguments: '{"a":1}' });
});

test('parseJsonCall refuses what is not one call', (t) => {
  for (const body of ['', 'f()', '[]', '{"name": 5}', '{"name":"f","arguments":[1]}', '{"name":"f"', '{"name":""}']) {
    t.is(parseJsonCall(body), null, body);
  }
});

test('parseXmlCall gives each value the type that the schema declares', (t) => {
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
  const call = parseXmlCall(body, tools);
  t.is(call?.name, 'write');
  t.deepEqual(JSON.parse(call!.arguments), {
    text: '  indented\n123',
    count: 42,
    ratio: null,
    deep: { a: [1] },
    flag: 'yes',
    other: [1, 2],
  });
});

test('parseXmlCall takes a value without its close up to the next parameter or the end', (t) => {
  const call = parseXmlCall('<function=write>\n<parameter=text>\na\n<parameter=count>\n1\n</function>', tools);
  t.deepEqual(JSON.parse(call!.arguments), { text: 'a', count: 1 });
});

test('parseXmlCall keeps a text that declares itself a string, though it looks like JSON', (t) => {
  const call = parseXmlCall('<function=write><parameter=text>007</parameter></function>', tools);
  t.deepEqual(JSON.parse(call!.arguments), { text: '007' });
});

test('parseToolCall understands the other style too', (t) => {
  t.is(parseToolCall('{"name":"f","arguments":{}}', 'xml', [])?.name, 'f');
  t.is(parseToolCall('<function=f></function>', 'json', [])?.name, 'f');
  t.is(parseToolCall('neither', 'json', []), null);
});
