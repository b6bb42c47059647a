import { choice, type GrammarNode, literal, nothing, rule } from '../grammar-node.js';
import { arrayNode } from './array-node.js';
import { SchemaExpander } from './expand-schema.js';
import { type Facts, isSame } from './facts.js';
import { holds } from './holds.js';
import { constantNode, jsonRules } from './json-nodes.js';
import type { JsonType } from './keywords.js';
import { numberNode } from './number-node.js';
import { objectNode } from './object-node.js';
import type { Located, RefuseKeyword } from './refuse-keyword.js';
import { stringWithin } from './string-node.js';

export interface SchemaUse {
  /** Of the names of its rules. */
  readonly prefix: string;
  readonly refuse: RefuseKeyword;
  /** Further schemas that the value meets. */
  readonly also?: readonly Located[];
}

/**
 * Adds the rules of a JSON schema to a grammar's, which has those of JSON itself, and gives the name of the first; yields between rules so that the caller
 * may let others run. Every text of the grammar is JSON that meets the schema; what cannot be held is refused.
 */
export function* addSchema(
  schema: unknown,
  rules: Map<string, GrammarNode>,
  { prefix, refuse, also = [] }: SchemaUse,
): Generator<void, string, void> {
  const writer = new SchemaWriter(schema, rules, prefix, refuse);
  const start = writer.nameOf([{ schema, path: '#' }, ...also]);
  while (writer.writeNext()) yield;
  return start;
}

/** Writes the rules of one schema. */
export class SchemaWriter {
  readonly #rules: Map<string, GrammarNode>;
  readonly #prefix: string;
  readonly #refuse: RefuseKeyword;
  readonly #expander: SchemaExpander;
  readonly #names = new Map<string, string>();
  readonly #ids = new Map<unknown, number>();
  readonly #queue: { readonly name: string; readonly schemas: readonly Located[] }[] = [];

  constructor(root: unknown, rules: Map<string, GrammarNode>, prefix: string, refuse: RefuseKeyword) {
    this.#rules = rules;
    this.#prefix = prefix;
    this.#refuse = refuse;
    this.#expander = new SchemaExpander(root, refuse);
  }

  factsOf(schemas: readonly Located[]): readonly Facts[] {
    return this.#expander.factsOf(schemas);
  }

  /** The rule for values that meet all of these schemas. */
  nameOf(schemas: readonly Located[]): string {
    const told = schemas.filter(({ schema }) => schema !== true);
    if (told.length === 0) return jsonRules.value;
    const ids = told.map(({ schema }) => {
      const known = this.#ids.get(schema);
      if (known !== undefined) return known;
      this.#ids.set(schema, this.#ids.size);
      return this.#ids.size - 1;
    });
    const key = [...new Set(ids)].sort((a, b) => a - b).join();
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = `${this.#prefix} ${this.#names.size}`;
    this.#names.set(key, name);
    this.#queue.push({ name, schemas: told });
    return name;
  }

  /** Writes one rule that was asked for; false when none is left. */
  writeNext(): boolean {
    const next = this.#queue.pop();
    if (!next) return false;
    const facts = this.#expander.factsOf(next.schemas);
    const nodes = facts.map((each) => this.#nodeOf(each));
    this.#rules.set(next.name, nodes.length === 0 ? nothing : choice(...nodes));
    return true;
  }

  #nodeOf(facts: Facts): GrammarNode {
    if (facts.values) {
      const values = facts.values.filter((value) => holds(value, facts, this.#expander));
      return choice(...values.map(constantNode));
    }
    const types = [...facts.types].filter((type) => type !== 'integer' || !facts.types.has('number'));
    return choice(...types.map((type) => this.#ofType(type, facts)));
  }

  #ofType(type: JsonType, facts: Facts): GrammarNode {
    const { path, notValues } = facts;
    const refuse = (keyword: string) => (reason: string) => this.#refuse(keyword, path, reason);
    const isLeftOut = (value: unknown): boolean => notValues.some((each) => isSame(each, value));
    const refuseOpposite = (isOne: (value: unknown) => boolean): void => {
      if (notValues.some(isOne)) this.#refuse('not', path, `single values of type '${type}' cannot be left out`);
    };
    switch (type) {
      case 'null':
        return isLeftOut(null) ? nothing : literal('null');
      case 'boolean':
        return choice(...[true, false].filter((value) => !isLeftOut(value)).map((value) => literal(String(value))));
      case 'string': {
        const texts = notValues.filter((value): value is string => typeof value === 'string');
        const left = texts.length > 0 ? [{ source: texts, isNegated: true, refuse: refuse('not') }] : [];
        return stringWithin({ ...facts.string, conditions: [...facts.string.conditions, ...left] });
      }
      case 'number':
      case 'integer':
        refuseOpposite((value) => typeof value === 'number');
        return numberNode({ ...facts.number, isInteger: type === 'integer' }, refuse('multipleOf'));
      case 'array':
        refuseOpposite(Array.isArray);
        return arrayNode(facts.array, this.#partsAt(path));
      case 'object':
        refuseOpposite((value) => typeof value === 'object' && value !== null && !Array.isArray(value));
        return objectNode(facts.object, this.#partsAt(path));
    }
  }

  #partsAt(path: string) {
    return {
      path,
      refuse: this.#refuse,
      nodeOf: (schemas: readonly Located[]) => rule(this.nameOf(schemas)),
      isImpossible: (schemas: readonly Located[]) => this.#expander.expand(schemas).length === 0,
      factsOf: (schemas: readonly Located[]) => this.#expander.factsOf(schemas),
      finiteValuesOf: (schemas: readonly Located[]) => this.#finiteValuesOf(schemas),
    };
  }

  #finiteValuesOf(schemas: readonly Located[]): readonly unknown[] | null {
    const found: unknown[] = [];
    for (const facts of this.#expander.factsOf(schemas)) {
      const isSmall = [...facts.types].every((type) => type === 'null' || type === 'boolean');
      if (!facts.values && !isSmall) return null;
      for (const value of facts.values ?? [true, false, null]) {
        const isNew = found.every((each) => !isSame(each, value));
        if (isNew && holds(value, facts, this.#expander)) found.push(value);
      }
    }
    return found;
  }
}
