import test from 'ava';
import { chooseSampling, fallbackSampling, parseGenerationConfig } from './generation-defaults.js';

test('chooseSampling takes the request before the model before the fallback', (t) => {
  const { defaults } = parseGenerationConfig({ temperature: 0.6, top_k: 20, repetition_penalty: 1.05 });
  t.deepEqual(chooseSampling({ temperature: 0, topP: 0.5 }, defaults), {
    ...fallbackSampling,
    temperature: 0,
    topP: 0.5,
    topK: 20,
    repetitionPenalty: 1.05,
  });
});

test('parseGenerationConfig leaves a value out of range unused and says so', (t) => {
  const { defaults, warnings } = parseGenerationConfig({ temperature: 'hot', top_p: 7, top_k: 20 });
  t.deepEqual(defaults, { topK: 20 });
  t.is(warnings.length, 2);
  t.deepEqual(parseGenerationConfig(undefined), { defaults: {}, warnings: [] });
  t.is(parseGenerationConfig([]).warnings.length, 1);
});
