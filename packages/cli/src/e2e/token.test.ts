import test from 'ava';
import { startCortex } from '../testing/index.js';

test('cortex up: the neuron asks for its token, the gateway has it', async (t) => {
  const token = 'a-shared-secret';
  const cortex = await startCortex(['--device', 'reference'], { env: { NEURON_TOKEN: token } });
  t.teardown(() => cortex.stop());
  const { url, neuronUrl, model } = cortex.address;
  t.is((await fetch(`${neuronUrl}/models`)).status, 401);
  t.is((await fetch(`${neuronUrl}/models`, { headers: { authorization: `Bearer ${token}` } })).status, 200);
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }], max_tokens: 1 }),
  });
  t.is(response.status, 200);
});
