import test from 'ava';
import { compileTiny, tinyLimits } from '../testing/tiny-model.js';
import { nullBackend } from './null.js';

test('null backend loads any program, answers steps at once and reports the planned memory', async (t) => {
  const { programs, plan } = compileTiny({ ranks: 2 });
  const model = await nullBackend().load({ programs, devices: [0, 0], limits: tinyLimits, kvFormat: 'F16' });
  t.deepEqual(model.memory, plan.ranks);
  t.is(model.buffer.byteLength, model.layout.size * 4);
  await model.upload(0, 0, 0, new Uint8Array(2));
  await model.seal();
  t.deepEqual(await model.step(), { deviceNs: 0 });
  await model.dispose();
  await t.throwsAsync(model.step(), { message: /it was disposed/u });
});
