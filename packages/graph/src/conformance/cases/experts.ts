import type { WeightFormat } from '@helexa/core';
import { weightFormats } from '../../formats/index.js';
import { type BackendCase, rowsStep } from '../case.js';
import { randomValues } from '../random.js';
import { productBounds } from './linear.js';

const steps = [1, 2, 5, 9, 64].map(rowsStep);

/** Logits far apart: a choice on the edge between two experts would differ by rounding alone. */
const router = (experts: number, k: number, renormalise: 0 | 1): BackendCase => ({
  name: `router_topk, ${k} of ${experts}${renormalise ? ', renormalised' : ''}`,
  ops: ['router_topk'],
  boundOf: 'router_topk',
  bound: 1e-5,
  vocab: 160,
  steps,
  mutation: 'it renormalises where it must not, or the other way round',
  build(writer, mutated) {
    const attributes = { k, renormalise: mutated ? 1 - renormalise : renormalise };
    return writer.finish(writer.run('router_topk', [writer.input('logits', experts, 2)], {}, attributes));
  },
});

interface ExpertSizes {
  readonly count: number;
  readonly k: number;
  readonly hidden: number;
  readonly inter: number;
}

const sizesOf = (format: WeightFormat): ExpertSizes =>
  format.endsWith('_K') ? { count: 4, k: 2, hidden: 256, inter: 256 } : { count: 4, k: 2, hidden: 64, inter: 32 };

const experts = (format: WeightFormat, { count, k, hidden, inter } = sizesOf(format)): BackendCase => {
  return {
    name: `moe_gate_up and moe_down of ${format} weights, ${k} of ${count} experts of ${inter} columns`,
    ops: ['router_topk', 'moe_gate_up', 'moe_down'],
    boundOf: `moe.${format}`,
    bound: 2 * productBounds[format],
    vocab: 272,
    steps,
    mutation: 'the experts of down are one place further on',
    build(writer, mutated) {
      const x = writer.input('x', hidden);
      const logits = writer.input('logits', count, 3);
      const choice = writer.run('router_topk', [logits], {}, { k, renormalise: 1 })[0]!;
      const both = writer.matrix('gateUp', [count * inter, count * inter], hidden, { format });
      const inner = writer.run('moe_gate_up', [x, choice], { matrix: both }, { k, experts: count })[0]!;
      const shift = mutated ? hidden : 0;
      const weights = randomValues('down', count * hidden * inter);
      const turned = (row: number): number => (row + shift) % (count * hidden);
      const down = writer.matrix('down', [count * hidden], inter, {
        format,
        values: (row, col) => weights[turned(row) * inter + col]! / Math.sqrt(inter),
      });
      return writer.finish(writer.run('moe_down', [inner, choice], { matrix: down }, { k, experts: count }));
    },
  };
};

export const expertCases: readonly BackendCase[] = [
  router(8, 2, 1),
  router(8, 2, 0),
  router(60, 4, 1),
  router(128, 8, 1),
  ...weightFormats.map((format) => experts(format)),
  // An expert's rows are no multiple of what kernels take at a time.
  experts('BF16', { count: 5, k: 3, hidden: 40, inter: 24 }),
  experts('F32', { count: 9, k: 1, hidden: 7, inter: 5 }),
];
