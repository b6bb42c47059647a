import { isRecord } from '../../text/json.js';
import { excludesEachOther } from './exclusion.js';
import { type Facts, readFacts } from './facts.js';
import { forbiddenKeyword, negateSchema } from './negate-schema.js';
import { below, type Located, type RefuseKeyword } from './refuse-keyword.js';

/** Schemas without alternatives that hold together. */
export type Branch = readonly Located[];

const maxBranches = 128;

/**
 * Writes what schemas say as alternatives: in each, some schemas hold together, read by their plain keywords alone.
 * References are followed, `allOf` is joined, and `anyOf`, `oneOf`, `not`, `if` and dependencies become alternatives.
 */
export class SchemaExpander {
  readonly #root: unknown;
  readonly #refuse: RefuseKeyword;

  constructor(root: unknown, refuse: RefuseKeyword) {
    this.#root = root;
    this.#refuse = refuse;
  }

  expand(schemas: readonly Located[]): readonly Branch[] {
    return this.#all(schemas, []);
  }

  /** What each alternative says. */
  factsOf(schemas: readonly Located[]): readonly Facts[] {
    return this.expand(schemas).map((branch) => readFacts(branch, this.#refuse));
  }

  #all(schemas: readonly Located[], open: readonly unknown[]): readonly Branch[] {
    return schemas.reduce<readonly Branch[]>(
      (branches, each) => this.#join(branches, this.#one(each, open), each),
      [[]],
    );
  }

  #one({ schema, path }: Located, open: readonly unknown[]): readonly Branch[] {
    if (schema === true) return [[]];
    if (schema === false) return [];
    if (!isRecord(schema)) return this.#refuse('schema', path, 'an object, true or false is wanted');
    if (open.includes(schema)) this.#refuse('$ref', path, 'it refers to itself with nothing in between');
    const inner = [...open, schema];
    let branches: readonly Branch[] = [[{ schema, path }]];
    const and = (more: readonly Branch[], where: string): void => {
      branches = this.#join(branches, more, { schema, path: where });
    };
    const { $ref, allOf, anyOf, oneOf, not } = schema;
    if ($ref !== undefined) and(this.#one(this.#target($ref, path), inner), path);
    if (allOf !== undefined) and(this.#all(this.#list('allOf', allOf, path), inner), path);
    if (anyOf !== undefined) {
      and(
        this.#list('anyOf', anyOf, path).flatMap((each) => this.#one(each, inner)),
        path,
      );
    }
    if (oneOf !== undefined) and(this.#oneOf(this.#list('oneOf', oneOf, path), { schema, path }, inner), path);
    if (not !== undefined) and(this.#one(this.#negated(not, below(path, 'not'), 'not'), inner), path);
    if (schema['if'] !== undefined) and(this.#conditional(schema, path, inner), path);
    for (const keyword of ['dependentRequired', 'dependentSchemas'] as const) {
      if (schema[keyword] !== undefined)
        this.#dependencies(keyword, schema[keyword], path, inner).forEach((each) => {
          and(each, path);
        });
    }
    return branches;
  }

  #join(left: readonly Branch[], right: readonly Branch[], { path }: Located): readonly Branch[] {
    if (left.length * right.length > maxBranches) {
      this.#refuse('anyOf', path, `it has more than ${maxBranches} alternatives when all are written out`);
    }
    return left.flatMap((a) =>
      right.map((b) => [...a, ...b.filter(({ schema }) => a.every((each) => each.schema !== schema))]),
    );
  }

  #list(keyword: string, value: unknown, path: string): readonly Located[] {
    if (!Array.isArray(value) || value.length === 0) return this.#refuse(keyword, path, 'a list of schemas is wanted');
    return value.map((schema: unknown, index) => ({ schema, path: below(path, keyword, index) }));
  }

  #target(reference: unknown, path: string): Located {
    if (typeof reference !== 'string' || !/^#(?:\/|$)/.test(reference)) {
      return this.#refuse(
        '$ref',
        path,
        `${JSON.stringify(reference)} is not a pointer into this schema, such as '#/$defs/name'`,
      );
    }
    let schema = this.#root;
    for (const part of reference.slice(1).split('/').slice(1)) {
      const name = decodeName(part);
      const isThere = Array.isArray(schema)
        ? /^\d+$/.test(name) && Number(name) < schema.length
        : isRecord(schema) && Object.hasOwn(schema, name);
      if (!isThere) return this.#refuse('$ref', path, `there is nothing at '${reference}'`);
      schema = (schema as Record<string, unknown>)[name];
    }
    return { schema, path: reference };
  }

  #negated(schema: unknown, path: string, keyword: string): Located {
    const negated = negateSchema(schema);
    if ('keyword' in negated) {
      return this.#refuse(keyword, path, `the opposite of '${negated.keyword}' cannot be said by a grammar`);
    }
    return { schema: negated.schema, path };
  }

  /** Exactly one may hold: alternatives must exclude each other by what they say. */
  #oneOf(options: readonly Located[], base: Located, open: readonly unknown[]): readonly Branch[] {
    const branches = options.map((each) => this.#one(each, open));
    const facts = branches.map((each) => each.map((branch) => readFacts([base, ...branch], this.#refuse)));
    for (let i = 0; i < options.length; i++) {
      for (let j = i + 1; j < options.length; j++) {
        const isExclusive = facts[i]!.every((a) => facts[j]!.every((b) => excludesEachOther(a, b, this)));
        if (isExclusive) continue;
        const reason = `alternatives ${i} and ${j} may both hold; anyOf, or alternatives that differ in type or in a required constant property are wanted`;
        this.#refuse('oneOf', base.path, reason);
      }
    }
    return branches.flat();
  }

  #conditional(schema: Readonly<Record<string, unknown>>, path: string, open: readonly unknown[]): readonly Branch[] {
    const condition = { schema: schema['if'], path: below(path, 'if') };
    const part = (keyword: 'then' | 'else'): Located => ({
      schema: schema[keyword] ?? true,
      path: below(path, keyword),
    });
    if (schema['then'] === undefined && schema['else'] === undefined) return [[]];
    const opposite = this.#negated(condition.schema, condition.path, 'if');
    return [...this.#all([condition, part('then')], open), ...this.#all([opposite, part('else')], open)];
  }

  #dependencies(keyword: string, value: unknown, path: string, open: readonly unknown[]): (readonly Branch[])[] {
    if (!isRecord(value)) return this.#refuse(keyword, path, 'an object is wanted');
    return Object.entries(value).map(([key, wanted]) => {
      const where = below(path, keyword, key);
      const without: Located = { schema: { [forbiddenKeyword]: [key] }, path: where };
      const required = keyword === 'dependentRequired' && Array.isArray(wanted) ? (wanted as unknown[]) : [];
      const present: Located = { schema: { required: [key, ...required] }, path: where };
      const also: Located[] = keyword === 'dependentSchemas' ? [{ schema: wanted, path: where }] : [];
      return [...this.#one(without, open), ...this.#all([present, ...also], open)];
    });
  }
}

function decodeName(part: string): string {
  const isEncoded = /^(?:[^%]|%[0-9A-Fa-f]{2})*$/.test(part);
  return (isEncoded ? decodeURIComponent(part) : part).replaceAll('~1', '/').replaceAll('~0', '~');
}
