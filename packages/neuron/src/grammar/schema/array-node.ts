import { type GrammarNode, type GraphState, literal, nothing, repeat, sequence } from '../grammar-node.js';
import type { ArrayFacts } from './facts.js';
import { comma, constantNode, listNode, space } from './json-nodes.js';
import type { Located, RefuseKeyword } from './refuse-keyword.js';

/** What an array needs of the schemas around it. */
export interface ArrayParts {
  readonly path: string;
  /** A node for a value that meets all of these. */
  nodeOf(schemas: readonly Located[]): GrammarNode;
  /** Whether no value meets them. */
  isImpossible(schemas: readonly Located[]): boolean;
  /** All values that meet them, when there are but a few; null otherwise. */
  finiteValuesOf(schemas: readonly Located[]): readonly unknown[] | null;
  readonly refuse: RefuseKeyword;
}

/** Sets of values whose orders are all written out. */
const maxUniqueValues = 8;
const open = literal('[');
const close = sequence(space, literal(']'));

/** An array within bounds. Nothing said of what comes behind `prefixItems` means that nothing comes. */
export function arrayNode(facts: ArrayFacts, parts: ArrayParts): GrammarNode {
  const { min, max, prefix, contains, unique } = facts;
  if (max !== null && max < min) return nothing;
  const rest = facts.rest ?? (prefix.length === 0 || min > prefix.length ? [] : [{ schema: false, path: parts.path }]);
  const isClosed = parts.isImpossible(rest);
  if (contains.length > 0) return containingNode(facts, rest, parts);
  if (unique !== null && (max === null || max > 1)) return uniqueNode(facts, rest, unique, parts);
  if (prefix.length === 0) return listNode('[', parts.nodeOf(rest), ']', min, isClosed ? 0 : max);

  const states: { isFinal: boolean; arcs: { body: GrammarNode; target: number }[] }[] = [];
  const last = prefix.length;
  // State i: i items written; then the rest written, then the end.
  const [restDone, end] = [last + 1, last + 2];
  for (let at = 0; at <= end; at++) states.push({ isFinal: at === end, arcs: [] });
  for (let at = 0; at < last; at++) {
    if (at >= min && (max === null || at <= max)) states[at]!.arcs.push({ body: close, target: end });
    if (max !== null && at >= max) break;
    states[at]!.arcs.push({ body: sequence(at === 0 ? space : comma, parts.nodeOf(prefix[at]!)), target: at + 1 });
  }
  if (max === null || max >= last) {
    const most = isClosed ? 0 : max === null ? null : max - last;
    const more = repeat(sequence(comma, parts.nodeOf(rest)), Math.max(0, min - last), most);
    states[last]!.arcs.push({ body: most === 0 && min > last ? nothing : more, target: restDone });
    states[restDone]!.arcs.push({ body: close, target: end });
  }
  return sequence(open, { kind: 'graph', states });
}

/** At least one item that meets `contains`, wherever it stands. */
function containingNode(
  facts: ArrayFacts,
  rest: readonly Located[],
  { path, refuse, nodeOf }: ArrayParts,
): GrammarNode {
  const { min, max, prefix, contains, unique } = facts;
  if (contains.length > 1 || prefix.length > 0 || unique !== null || max !== null || min > 1) {
    refuse('contains', path, "it is supported beside 'items' alone");
  }
  const [item, wanted] = [nodeOf(rest), nodeOf([...rest, ...contains])];
  const states: GraphState[] = [
    {
      isFinal: false,
      arcs: [
        { body: sequence(space, item), target: 1 },
        { body: sequence(space, wanted), target: 2 },
      ],
    },
    {
      isFinal: false,
      arcs: [
        { body: sequence(comma, item), target: 1 },
        { body: sequence(comma, wanted), target: 2 },
      ],
    },
    {
      isFinal: false,
      arcs: [
        { body: sequence(comma, item), target: 2 },
        { body: close, target: 3 },
      ],
    },
    { isFinal: true, arcs: [] },
  ];
  return sequence(open, { kind: 'graph', states });
}

/** Every order of different values out of a few: a state for each set of those written. */
function uniqueNode(facts: ArrayFacts, rest: readonly Located[], path: string, parts: ArrayParts): GrammarNode {
  const { min, max, prefix } = facts;
  const values = prefix.length === 0 ? parts.finiteValuesOf(rest) : null;
  if (values === null || values.length > maxUniqueValues) {
    return parts.refuse(
      'uniqueItems',
      path,
      `it is supported for items out of at most ${maxUniqueValues} values, as by 'enum'`,
    );
  }
  const nodes = values.map(constantNode);
  const end = 2 ** values.length;
  const states: GraphState[] = [];
  for (let written = 0; written < end; written++) {
    const count = values.filter((_, index) => (written >> index) & 1).length;
    const arcs: { body: GrammarNode; target: number }[] = [];
    if (count >= min && (max === null || count <= max)) arcs.push({ body: close, target: end });
    for (const [index, node] of nodes.entries()) {
      if ((written >> index) & 1 || (max !== null && count >= max)) continue;
      arcs.push({ body: sequence(count === 0 ? space : comma, node), target: written | (1 << index) });
    }
    states.push({ isFinal: false, arcs });
  }
  return sequence(open, { kind: 'graph', states: [...states, { isFinal: true, arcs: [] }] });
}
