import type { WeightFormat } from '@helexa/core';
import { weightFormats } from '../../formats/index.js';
import { type BackendCase, rowsStep } from '../case.js';
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

const experts = (format: WeightFormat): BackendCase => {
  const count = 4;
  const k = 2;
  const [hidden, inter] = format.endsWith('_K') ? [256, 256] : [64, 32];
  return {
    name: `moe_gate_up and moe_down of ${format} weights`,
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
      const turned = (row: number): number => (row + shift) % (count * hidden);
      const down = writer.matrix('down', [count * hidden], inter, {
        format,
        values: (row, col) => Math.sin(1 + turned(row) * 12.9898 + col * 78.233) / Math.sqrt(inter),
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
  ...weightFormats.map(experts),
];
