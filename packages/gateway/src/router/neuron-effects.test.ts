import test from 'ava';
import { outcomeOf } from './neuron-effects.js';

const outcome = (status: number, error: unknown) => {
  const result = outcomeOf('a', 'm', status, { error });
  return result.ok ? 'ok' : [result.error.code, result.requiredMb];
};

test('outcomeOf takes a model that is there already for a success', (t) => {
  t.is(outcome(200, undefined), 'ok');
  t.is(outcome(400, "model 'm' already loaded"), 'ok');
  t.like(outcomeOf('a', 'm', 200, { status: 'loaded', already: true }), { ok: true, already: true });
  t.like(outcomeOf('a', 'm', 200, { status: 'loaded', job: {} }), { ok: true, already: false });
});

test('outcomeOf tells what another try may cure from what it may not', (t) => {
  t.deepEqual(outcome(422, { code: 'architecture_unknown' }), ['model_load_refused', undefined]);
  t.deepEqual(outcome(400, 'harness is unknown'), ['model_load_refused', undefined]);
  t.deepEqual(outcome(503, { code: 'shutting_down' }), ['model_load_failed', undefined]);
  t.deepEqual(outcome(409, { code: 'model_in_use' }), ['model_load_failed', undefined]);
});

test('outcomeOf reads how much memory a model needs, and calls that curable', (t) => {
  const kind = 'insufficient_vram_for_load';
  t.deepEqual(outcome(422, { code: 'model_does_not_fit', kind, required_mb: 80 }), ['model_load_failed', 80]);
});

test('outcomeOf repeats no words of a neuron: they may name its files', (t) => {
  const result = outcomeOf('a', 'm', 422, {
    error: { message: 'Cannot read /secret/place', code: 'checkpoint_invalid' },
  });
  t.false(!result.ok && result.error.message.includes('secret'));
});
