import { choice, type GrammarNode, literal, nothing, rule, sequence } from '../grammar-node.js';
import { admits, anyText, isEmpty, type TextAutomaton } from '../regex/text-automaton.js';
import type { Facts, ObjectFacts } from './facts.js';
import { comma, jsonRules, keyNode, memberNode, space } from './json-nodes.js';
import type { Located, RefuseKeyword } from './refuse-keyword.js';
import { insideNode, narrowed, type TextCondition, textsWithin } from './string-node.js';

/** What an object needs of the schemas around it. */
export interface ObjectParts {
  readonly path: string;
  nodeOf(schemas: readonly Located[]): GrammarNode;
  isImpossible(schemas: readonly Located[]): boolean;
  factsOf(schemas: readonly Located[]): readonly Facts[];
  readonly refuse: RefuseKeyword;
}

const maxPatterns = 4;
const maxCountedStates = 20_000;

/**
 * An object within bounds: its declared properties in the order of their declaration, then others. Nothing said of others
 * means that there are none, unless nothing is said of any.
 */
export function objectNode(facts: ObjectFacts, parts: ObjectParts): GrammarNode {
  const names = namesOf(facts, parts);
  const isAllowed = (key: string): boolean => names === null || admits(names, key);
  const declared = [...facts.properties].filter(([key, schemas]) => isAllowed(key) && !parts.isImpossible(schemas));
  if ([...facts.required].some((key) => declared.every(([each]) => each !== key))) return nothing;
  const others = othersNode(facts, names, parts);
  const most = declared.length + (others ? 1 : 0);
  if (facts.min > most) {
    if (!others) return nothing;
    return parts.refuse(
      'minProperties',
      parts.path,
      `${facts.min} different names cannot be told apart; at most ${most} are counted`,
    );
  }
  const members = declared.map(([key, schemas]) => ({
    node: memberNode(keyNode(key), parts.nodeOf(schemas)),
    isRequired: facts.required.has(key),
  }));
  if (members.length * (facts.min + 1) * ((facts.max ?? 1) + 1) > maxCountedStates) {
    return parts.refuse('maxProperties', parts.path, 'together with so many properties it takes too many states');
  }
  return sequence(literal('{'), new ObjectGraph(members, others, facts.min, facts.max).node());
}

interface Member {
  readonly node: GrammarNode;
  readonly isRequired: boolean;
}

/** Where an object stands while it is written. */
interface Progress {
  /** Declared properties behind us. */
  readonly at: number;
  /** Members that are surely different, up to the number wanted; and members, up to the number allowed. */
  readonly different: number;
  readonly written: number;
  readonly hasOther: boolean;
}

class ObjectGraph {
  readonly #members: readonly Member[];
  readonly #others: GrammarNode | null;
  readonly #min: number;
  readonly #max: number | null;
  readonly #ids = new Map<string, number>();
  readonly #queue: Progress[] = [];

  constructor(members: readonly Member[], others: GrammarNode | null, min: number, max: number | null) {
    this.#members = members;
    this.#others = others;
    this.#min = min;
    this.#max = max;
  }

  node(): GrammarNode {
    const states: { isFinal: boolean; arcs: { body: GrammarNode; target: number }[] }[] = [];
    this.#idOf({ at: 0, different: 0, written: 0, hasOther: false });
    for (let index = 0; index < this.#queue.length; index++) {
      states.push({ isFinal: false, arcs: this.#arcsOf(this.#queue[index]!) });
    }
    // The end was not known by its number until all others were.
    const end = states.push({ isFinal: true, arcs: [] }) - 1;
    for (const { arcs } of states) for (const arc of arcs) if (arc.target < 0) arc.target = end;
    return { kind: 'graph', states };
  }

  #arcsOf(progress: Progress): { body: GrammarNode; target: number }[] {
    const { at, different, written, hasOther } = progress;
    const arcs: { body: GrammarNode; target: number }[] = [];
    const lead = written === 0 ? space : comma;
    const hasRoom = this.#max === null || written < this.#max;
    const more = { different: Math.min(different + 1, this.#min), written: Math.min(written + 1, this.#max ?? 1) };
    const member = this.#members[at];
    if (member) {
      if (hasRoom)
        arcs.push({ body: sequence(lead, member.node), target: this.#idOf({ ...progress, ...more, at: at + 1 }) });
      if (!member.isRequired) arcs.push({ body: literal(''), target: this.#idOf({ ...progress, at: at + 1 }) });
      return arcs;
    }
    if (this.#others && hasRoom) {
      // Two others may have one name: only the first is surely one more.
      const next = { ...progress, ...more, different: hasOther ? different : more.different, hasOther: true };
      arcs.push({ body: sequence(lead, this.#others), target: this.#idOf(next) });
    }
    if (different >= this.#min) arcs.push({ body: sequence(space, literal('}')), target: -1 });
    return arcs;
  }

  #idOf(progress: Progress): number {
    const name = Object.values(progress).join();
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const id = this.#queue.push(progress) - 1;
    this.#ids.set(name, id);
    return id;
  }
}

/** Names that `propertyNames` allows; null: all. */
function namesOf({ names }: ObjectFacts, { factsOf, refuse, path }: ObjectParts): TextAutomaton | null {
  if (names.length === 0) return null;
  const [facts, ...more] = factsOf(names);
  const where = names[0]!.path;
  const refuseNames = (reason: string): never => refuse('propertyNames', path, reason);
  if (more.length > 0) refuse('propertyNames', where, 'alternatives are not supported here');
  if (!facts?.types.has('string')) return narrowed(anyText, { source: [], isNegated: false, refuse: refuseNames });
  const { values, string } = facts;
  const listed: TextCondition[] = values
    ? [{ source: values.filter((each) => typeof each === 'string'), isNegated: false, refuse: refuseNames }]
    : [];
  const all: TextCondition = { source: '', isNegated: false, refuse: refuseNames };
  return textsWithin({ ...string, conditions: [all, ...string.conditions, ...listed] });
}

/** One member that is not declared; null when there can be none. */
function othersNode(facts: ObjectFacts, names: TextAutomaton | null, parts: ObjectParts): GrammarNode | null {
  const { properties, patterns } = facts;
  if (patterns.length > maxPatterns) {
    return parts.refuse(
      'patternProperties',
      parts.path,
      `${patterns.length} patterns; at most ${maxPatterns} are supported`,
    );
  }
  const isOpen = facts.rest === null && properties.size === 0 && patterns.length === 0;
  const rest = isOpen ? [] : (facts.rest ?? [{ schema: false, path: parts.path }]);
  if (properties.size === 0 && patterns.length === 0 && names === null) {
    return parts.isImpossible(rest) ? null : memberNode(rule(jsonRules.string), parts.nodeOf(rest));
  }
  const refuseDeclared = (reason: string): never => parts.refuse('properties', parts.path, reason);
  const declared: TextCondition = { source: [...properties.keys()], isNegated: true, refuse: refuseDeclared };
  const base = narrowed(names ?? anyText, declared);
  const options: GrammarNode[] = [];
  // Every name matches some set of patterns, and meets the schemas of all of them.
  for (let matched = 0; matched < 2 ** patterns.length; matched++) {
    const isMatched = (index: number): boolean => ((matched >> index) & 1) === 1;
    const schemas = matched === 0 ? rest : patterns.flatMap((each, index) => (isMatched(index) ? each.schemas : []));
    if (parts.isImpossible(schemas)) continue;
    const texts = patterns.reduce(
      (left, { pattern }, index) => narrowed(left, { ...pattern, isNegated: !isMatched(index) }),
      base,
    );
    if (!isEmpty(texts)) options.push(memberNode(insideNode(texts), parts.nodeOf(schemas)));
  }
  return options.length === 0 ? null : choice(...options);
}
