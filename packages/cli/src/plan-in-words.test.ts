import test from 'ava';
import { type FleetPlan, planInWords } from './plan-in-words.js';

const plan = (more: Partial<FleetPlan>): FleetPlan => ({
  model: 'org/m',
  action: 'serve',
  node: 'a',
  ready_on: [],
  evicts: [],
  behind: [],
  expected_ms: 0,
  why: 'the model is loaded there',
  refusal: null,
  ...more,
});

test('planInWords says where a model is ready, and where else', (t) => {
  const why = '  why       the model is loaded there';
  t.deepEqual(planInWords(plan({ ready_on: ['a'] })), ['org/m: ready on a', why]);
  t.deepEqual(planInWords(plan({ ready_on: ['a', 'b'] })), ['org/m: ready on a', '  ready on  a, b', why]);
});

test('planInWords says what would leave, and how long it would take', (t) => {
  const load = { action: 'load', evicts: ['x', 'y'], expected_ms: 95_000, why: 'models that are idle leave for it' };
  t.deepEqual(planInWords(plan(load as Partial<FleetPlan>)), [
    'org/m: would be loaded on a',
    '  leaves    x, y',
    '  ready in  about 1 min 35 s',
    '  why       models that are idle leave for it',
  ]);
  t.deepEqual(planInWords(plan({ action: 'wait', behind: ['n'], expected_ms: 4000, why: 'it waits' })), [
    'org/m: would have to wait on a',
    '  behind    n',
    '  ready in  about 4 s',
    '  why       it waits',
  ]);
});

test('planInWords says why a model cannot be had, what helps, and when to come again', (t) => {
  const refusal = { status: 503, code: 'c', message: 'Cannot', suggestion: 'Do', retry_after: 3 };
  t.deepEqual(planInWords(plan({ action: 'refuse', node: null, expected_ms: null, why: 'Cannot', refusal })), [
    'org/m: cannot be had',
    '  why       Cannot',
    '  help      Do',
    '  answer    503 c',
    '  again in  3 s',
  ]);
});
