import type { Cost, CostContext } from '../op.js';
import { activationBytes, attribute, weightOf, weightRows } from './rules.js';

/** Cost of a product with the chosen experts: each row works with k of them, and at most all are read. */
export function expertCost(node: CostContext): Cost {
  const matrix = weightOf(node, 'matrix');
  const experts = attribute(node, 'experts');
  const chosen = node.rows * attribute(node, 'k');
  const weights = weightRows(matrix) * (matrix.cols ?? 1);
  return {
    macs: (chosen * weights) / experts,
    weightBytes: (node.weightBytes('matrix') * Math.min(chosen, experts)) / experts,
    activationBytes: activationBytes(node),
  };
}
