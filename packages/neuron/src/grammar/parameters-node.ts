import { jsonOfText, propertiesOf } from '../text/tool-dialects/text-values.js';
import type { ParameterCallSyntax } from '../text/tool-dialects/tool-dialect.js';
import type { ToolGrammar } from './calls-node.js';
import { choice, type GrammarNode, type GraphState, literal, rule, sequence } from './grammar-node.js';
import { encodePlain } from './regex/encode-text.js';
import type { Facts } from './schema/facts.js';
import { below, type Located, refuseKeyword } from './schema/refuse-keyword.js';
import { SchemaWriter } from './schema/schema-grammar.js';
import { narrowed, type TextCondition, textsWithin } from './schema/string-node.js';

/** Texts of each JSON type, to ask the parser of calls how it reads a parameter. */
const samples = { number: '1', boolean: 'true', null: 'null', object: '{}', array: '[]' } as const;

/** What would end a raw text too early, or be taken from its end. */
const structure = '</?(?:parameter|function|tool_call)|\\r$';

/** The parameters of one function, each on lines of its own: strings raw, other values as JSON. */
export function* addParameters(
  tool: ToolGrammar,
  syntax: ParameterCallSyntax,
  prefix: string,
  rules: Map<string, GrammarNode>,
): Generator<void, GrammarNode, void> {
  const refuse = refuseKeyword(tool.param);
  const schema = tool.parameters ?? { type: 'object' };
  const writer = new SchemaWriter(schema, rules, prefix, refuse);
  const [facts, ...more] = writer.factsOf([
    { schema, path: '#' },
    { schema: { type: 'object' }, path: '#' },
  ]);
  if (!facts || more.length > 0)
    return refuse('anyOf', '#', 'this model writes parameters one by one: one set of them is wanted');
  const { object } = facts;
  if (object.min > object.required.size)
    refuse('minProperties', '#', 'this model writes parameters one by one: they cannot be counted');
  if (object.max !== null && object.max < object.properties.size) {
    refuse('maxProperties', '#', 'this model writes parameters one by one: they cannot be counted');
  }
  const states: GraphState[] = [];
  for (const [key, schemas] of object.properties) {
    const branches = writer.factsOf(schemas);
    const arcs: { body: GrammarNode; target: number }[] = [];
    const target = states.length + 1;
    if (branches.length > 0 && /^[^>\n]+$/.test(key)) {
      const value = valueNode({ key, schemas, branches, schema, writer, param: tool.param });
      const head = `${syntax.parameterBegin}${key}${syntax.keyEnd}`;
      arcs.push({ body: sequence(literal(head), value, literal(syntax.parameterEnd)), target });
    }
    if (!object.required.has(key)) arcs.push({ body: literal(''), target });
    states.push({ isFinal: false, arcs });
    yield;
  }
  while (writer.writeNext()) yield;
  return { kind: 'graph', states: [...states, { isFinal: true, arcs: [] }] };
}

interface Parameter {
  readonly key: string;
  readonly schemas: readonly Located[];
  readonly branches: readonly Facts[];
  readonly schema: unknown;
  readonly writer: SchemaWriter;
  readonly param: string;
}

function valueNode({ key, schemas, branches, schema, writer, param }: Parameter): GrammarNode {
  const declared = propertiesOf(schema).get(key);
  const path = below('#', 'properties', key);
  const readsAsJson = (type: keyof typeof samples): boolean =>
    jsonOfText(samples[type], declared, schema) === samples[type];
  const refuse = (reason: string): never => refuseKeyword(param)('type', path, reason);
  const types = new Set(
    branches.flatMap((facts) => (facts.values ? facts.values.map(typeOf) : [...facts.types].map(plainType))),
  );
  const others = [...types].filter((type) => type !== 'string');
  if (!types.has('string')) {
    if (others.every((type) => readsAsJson(type as keyof typeof samples))) return rule(writer.nameOf(schemas));
    return refuse("the type is wanted in a plain 'type' of the parameter, by which this model's calls are read");
  }
  // A raw text that reads as another type would become a value of it.
  const known = Object.keys(samples) as (keyof typeof samples)[];
  const isRaw = known.every(
    (type) => !readsAsJson(type) || ((type === 'null' || type === 'boolean') && others.includes(type)),
  );
  const isPlain = others.every((type) => type === 'null' || type === 'boolean');
  if (!isRaw || !isPlain)
    return refuse("this model writes strings raw: 'type' says string, and beside it at most null or boolean");
  return choice(...branches.map((facts) => rawNode(facts, refuse)));
}

function rawNode(facts: Facts, refuse: (reason: string) => never): GrammarNode {
  if (facts.values) return choice(...facts.values.map((value) => literal(String(value))));
  const limits: TextCondition[] = [
    { source: structure, isNegated: true, refuse },
    ...facts.notValues.flatMap((value) =>
      typeof value === 'string' ? [{ source: [value], isNegated: true, refuse }] : [],
    ),
  ];
  const options: GrammarNode[] = [];
  if (facts.types.has('string')) {
    const texts = limits.reduce(
      narrowed,
      textsWithin({ ...facts.string, conditions: [...limits, ...facts.string.conditions] }),
    );
    options.push({ kind: 'automaton', automaton: encodePlain(texts) });
  }
  if (facts.types.has('null')) options.push(literal('null'));
  if (facts.types.has('boolean')) options.push(literal('true'), literal('false'));
  return choice(...options);
}

const typeOf = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value);
const plainType = (type: string): string => (type === 'integer' ? 'number' : type);
