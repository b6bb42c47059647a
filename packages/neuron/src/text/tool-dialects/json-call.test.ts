import test from 'ava';
import { parseJsonCall } from './json-call.js';

test('parseJsonCall keeps the arguments as the model spelled them', (t) => {
  t.deepEqual(parseJsonCall('\n{"name": "f", "arguments": {"id": 12345678901234567890, "x": 1.0}}\n'), {
    name: 'f',
    arguments: '{"id": 12345678901234567890, "x": 1.0}',
  });
  t.deepEqual(parseJsonCall('{"arguments":{"a":"}\\"{"},"name":"f"}'), { name: 'f', arguments: '{"a":"}\\"{"}' });
  t.deepEqual(parseJsonCall('{"name":"f"}'), { name: 'f', arguments: '{}' });
  t.deepEqual(parseJsonCall('{"name":"f","arguments":null,"parameters":{"a":1}}'), { name: 'f', arguments: '{"a":1}' });
  t.deepEqual(parseJsonCall('{"name":"f","arguments":"{\\"a\\":1}"}'), { name: 'f', arguments: '{"a":1}' });
});

test('parseJsonCall refuses what is not one call', (t) => {
  for (const body of ['', 'f()', '[]', '{"name": 5}', '{"name":"f","arguments":[1]}', '{"name":"f"', '{"name":""}']) {
    t.is(parseJsonCall(body), null, body);
  }
});
