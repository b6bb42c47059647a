import test from 'ava';
import { apart, runReference } from './fake-context.js';
import { ops } from './index.js';

// Closed forms in float64; another expert or a missing renormalisation errs by over 0.1.
const bound = 1e-12;
const logits = [[0, Math.log(2), Math.log(5), Math.log(2)]];
const route = (k: number, renormalise: number) =>
  runReference(ops.router_topk, {
    rows: 1,
    inputs: { logits },
    outputs: { choice: 2 * k },
    params: { k, renormalise },
  })['choice']!;

test('router_topk gives the best experts first, of equals the lower one, with their probabilities', (t) => {
  t.true(apart(route(3, 0), [[2, 1, 3, 0.5, 0.2, 0.2]]) < bound);
  t.true(apart(route(2, 1), [[2, 1, 5 / 7, 2 / 7]]) < bound);
  t.true(apart(route(4, 0), [[2, 1, 3, 0, 0.5, 0.2, 0.2, 0.1]]) < bound);
});

test('moe_gate_up and moe_down run each row through its own experts and weigh their sum', (t) => {
  const choice = [
    [1, 0, 0.75, 0.25],
    [0, 1, 0.5, 0.5],
  ];
  const x = [
    [1, 2],
    [3, -1],
  ];
  const params = { k: 2, experts: 2 };
  // One inner column per expert. Gates 0 make silu 0, so log(3) times a unit shows which expert was taken.
  const gate = [
    [Math.log(3), 0],
    [0, 1],
  ];
  const up = [
    [1, 1],
    [1, -1],
  ];
  const { y } = runReference(ops.moe_gate_up, {
    rows: 2,
    inputs: { x, choice },
    outputs: { y: 2 },
    weights: { matrix: [gate, up] },
    params,
  });
  const silu = (value: number) => value / (1 + Math.exp(-value));
  const l = Math.fround(Math.log(3));
  const wanted = [
    [silu(2) * -1, silu(l) * 3],
    [silu(3 * l) * 2, silu(-1) * 4],
  ];
  t.true(apart(y!, wanted) < bound);

  const { out } = runReference(ops.moe_down, {
    rows: 2,
    inputs: {
      y: [
        [1, 2],
        [3, 4],
      ],
      choice,
    },
    outputs: { out: 3 },
    weights: { matrix: [[[1], [2], [3], [10], [20], [30]]] },
    params,
  });
  t.true(
    apart(out!, [
      [7.5 + 0.5, 15 + 1, 22.5 + 1.5],
      [1.5 + 20, 3 + 40, 4.5 + 60],
    ]) <
      bound * 10,
  );
});
