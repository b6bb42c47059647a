import { isRecord } from '../../text/json.js';
import { idleFormats, numberFormats, stringFormats } from './formats.js';
import { type JsonType, jsonTypes, standingOf, typeOfKeyword } from './keywords.js';
import { forbiddenKeyword, notEnumKeyword, notPatternKeyword } from './negate-schema.js';
import { nextDown, nextUp } from './number-node.js';
import { below, type Located, type RefuseKeyword } from './refuse-keyword.js';
import { meets, type TextCondition } from './string-node.js';

/** What several schemas without alternatives say together of one value. */
export interface Facts {
  /** `number` admits integers too; `integer` stands for itself alone. */
  readonly types: ReadonlySet<JsonType>;
  /** Values that are admitted; null: any. */
  readonly values: readonly unknown[] | null;
  readonly notValues: readonly unknown[];
  readonly number: {
    readonly min: number | null;
    readonly max: number | null;
    readonly multiplesOf: readonly number[];
  };
  readonly string: { readonly min: number; readonly max: number | null; readonly conditions: readonly TextCondition[] };
  readonly array: ArrayFacts;
  readonly object: ObjectFacts;
  /** The first schema, for refusals that concern several. */
  readonly path: string;
}

export interface ArrayFacts {
  readonly min: number;
  readonly max: number | null;
  /** All schemas of each place, then of the rest; null: nothing is said of the rest. */
  readonly prefix: readonly (readonly Located[])[];
  readonly rest: readonly Located[] | null;
  readonly contains: readonly Located[];
  readonly unique: string | null;
}

export interface ObjectFacts {
  readonly min: number;
  readonly max: number | null;
  /** In the order of declaration. */
  readonly properties: ReadonlyMap<string, readonly Located[]>;
  readonly required: ReadonlySet<string>;
  readonly patterns: readonly { readonly pattern: TextCondition; readonly schemas: readonly Located[] }[];
  /** Of names that nothing else speaks of; null: nothing is said. */
  readonly rest: readonly Located[] | null;
  readonly names: readonly Located[];
}

/** What a schema says of everything that it does not name; `isLast`: only of what no other schema names either. */
interface Rest extends Located {
  readonly isLast: boolean;
}

type Schema = Readonly<Record<string | symbol, unknown>>;

/** Reads the keywords of one value's schemas together. */
export function readFacts(schemas: readonly Located[], refuse: RefuseKeyword): Facts {
  const reader = new FactsReader(refuse);
  for (const { schema, path } of schemas) reader.add(schema as Schema, path);
  return reader.finish(schemas[0]?.path ?? '#');
}

class FactsReader {
  readonly #refuse: RefuseKeyword;
  #types: ReadonlySet<JsonType> | null = null;
  readonly #impliedTypes = new Set<JsonType>();
  #values: readonly unknown[] | null = null;
  readonly #notValues: unknown[] = [];
  #low: number | null = null;
  #high: number | null = null;
  readonly #multiples: number[] = [];
  #minLength = 0;
  #maxLength: number | null = null;
  readonly #conditions: TextCondition[] = [];
  #minItems = 0;
  #maxItems: number | null = null;
  readonly #arrays: { readonly prefix: readonly Located[]; readonly rest: Rest | null }[] = [];
  readonly #contains: Located[] = [];
  #unique: string | null = null;
  #minProperties = 0;
  #maxProperties: number | null = null;
  readonly #required = new Set<string>();
  readonly #names: Located[] = [];
  readonly #objects: {
    readonly properties: ReadonlyMap<string, Located>;
    readonly patterns: readonly (readonly [TextCondition, Located])[];
    readonly rest: Rest | null;
  }[] = [];

  constructor(refuse: RefuseKeyword) {
    this.#refuse = refuse;
  }

  add(schema: Schema, path: string): void {
    for (const keyword of Object.keys(schema)) {
      if (standingOf(keyword) === 'unknown') this.#refuse(keyword, path, 'this keyword is not known');
      const implied = typeOfKeyword[keyword];
      if (implied) this.#impliedTypes.add(implied);
    }
    this.#addTypes(schema, path);
    this.#addNumber(schema, path);
    this.#addString(schema, path);
    this.#addArray(schema, path);
    this.#addObject(schema, path);
  }

  #addTypes(schema: Schema, path: string): void {
    const { type } = schema;
    if (type !== undefined) {
      const listed = (Array.isArray(type) ? type : [type]) as unknown[];
      const bad = listed.find((each) => !jsonTypes.includes(each as JsonType));
      if (bad !== undefined || listed.length === 0) {
        this.#refuse('type', path, `${JSON.stringify(bad ?? [])} is none of ${jsonTypes.join(', ')}`);
      }
      const own = new Set(listed as JsonType[]);
      if (schema['nullable'] === true) own.add('null');
      this.#types = this.#types === null ? own : commonTypes(this.#types, own);
    }
    const { enum: listed } = schema;
    if (listed !== undefined) this.#allow(this.#list(listed, 'enum', path));
    if (schema['const'] !== undefined) this.#allow([schema['const']]);
    this.#notValues.push(...((schema[notEnumKeyword] as readonly unknown[] | undefined) ?? []));
  }

  #allow(values: readonly unknown[]): void {
    const known = this.#values;
    this.#values = known === null ? values : known.filter((value) => values.some((each) => isSame(each, value)));
  }

  #addNumber(schema: Schema, path: string): void {
    const number = (keyword: string): number | null => {
      const value = schema[keyword];
      if (value === undefined) return null;
      return typeof value === 'number' ? value : this.#refuse(keyword, path, 'a number is wanted');
    };
    const raise = (value: number | null): void => {
      if (value !== null && (this.#low === null || value > this.#low)) this.#low = value;
    };
    const lower = (value: number | null): void => {
      if (value !== null && (this.#high === null || value < this.#high)) this.#high = value;
    };
    const [above, under] = [number('exclusiveMinimum'), number('exclusiveMaximum')];
    raise(number('minimum'));
    lower(number('maximum'));
    raise(above === null ? null : nextUp(above));
    lower(under === null ? null : nextDown(under));
    const multiple = number('multipleOf');
    if (multiple !== null && multiple <= 0) this.#refuse('multipleOf', path, `${multiple} is not above 0`);
    if (multiple !== null) this.#multiples.push(multiple);
    const range = typeof schema['format'] === 'string' ? numberFormats[schema['format']] : undefined;
    if (!range) return;
    raise(range[0]);
    lower(range[1]);
  }

  #addString(schema: Schema, path: string): void {
    this.#minLength = Math.max(this.#minLength, this.#count(schema, 'minLength', path) ?? 0);
    this.#maxLength = least(this.#maxLength, this.#count(schema, 'maxLength', path));
    const condition = (keyword: string, source: unknown, isNegated: boolean): void => {
      if (typeof source !== 'string') this.#refuse(keyword, path, 'a text is wanted');
      this.#conditions.push(this.#condition(keyword, path, source as string, isNegated));
    };
    if (schema['pattern'] !== undefined) condition('pattern', schema['pattern'], false);
    for (const pattern of (schema[notPatternKeyword] as readonly unknown[] | undefined) ?? []) {
      condition('not', pattern, true);
    }
    const { format } = schema;
    if (format === undefined) return;
    if (typeof format !== 'string') this.#refuse('format', path, 'a text is wanted');
    const name = format as string;
    const expression = Object.hasOwn(stringFormats, name) ? stringFormats[name]! : null;
    if (expression !== null) this.#conditions.push(this.#condition('format', path, expression, false));
    else if (!Object.hasOwn(numberFormats, name) && !idleFormats.has(name)) {
      const known = [...Object.keys(stringFormats), ...Object.keys(numberFormats), ...idleFormats].join(', ');
      this.#refuse('format', path, `'${name}' is none of ${known}`);
    }
  }

  #condition(keyword: string, path: string, source: string, isNegated: boolean): TextCondition {
    return { source, isNegated, refuse: (reason) => this.#refuse(keyword, path, reason) };
  }

  #addArray(schema: Schema, path: string): void {
    this.#minItems = Math.max(this.#minItems, this.#count(schema, 'minItems', path) ?? 0);
    this.#maxItems = least(this.#maxItems, this.#count(schema, 'maxItems', path));
    if (schema['uniqueItems'] === true) this.#unique = path;
    if (schema['contains'] !== undefined)
      this.#contains.push({ schema: schema['contains'], path: below(path, 'contains') });
    // Earlier drafts wrote a list of places as `items`, and the rest as `additionalItems`.
    const isListed = Array.isArray(schema['items']);
    const [listedAs, restAs] = isListed ? ['items', 'additionalItems'] : ['prefixItems', 'items'];
    const listed = schema[listedAs];
    const rest = restOf(schema, path, restAs, 'unevaluatedItems');
    if (listed === undefined && rest === null) return;
    const places = listed === undefined ? [] : this.#list(listed, listedAs, path);
    this.#arrays.push({
      prefix: places.map((each, index) => ({ schema: each, path: below(path, listedAs, index) })),
      rest,
    });
  }

  #addObject(schema: Schema, path: string): void {
    this.#minProperties = Math.max(this.#minProperties, this.#count(schema, 'minProperties', path) ?? 0);
    this.#maxProperties = least(this.#maxProperties, this.#count(schema, 'maxProperties', path));
    if (schema['required'] !== undefined) {
      for (const key of this.#list(schema['required'], 'required', path)) {
        if (typeof key !== 'string') this.#refuse('required', path, 'names are wanted');
        this.#required.add(key as string);
      }
    }
    if (schema['propertyNames'] !== undefined) {
      this.#names.push({ schema: schema['propertyNames'], path: below(path, 'propertyNames') });
    }
    const properties = new Map<string, Located>();
    for (const [key, each] of this.#record(schema, 'properties', path)) {
      properties.set(key, { schema: each, path: below(path, 'properties', key) });
    }
    for (const key of (schema[forbiddenKeyword] as readonly string[] | undefined) ?? []) {
      properties.set(key, { schema: false, path });
    }
    const patterns = this.#record(schema, 'patternProperties', path).map(([pattern, each]) => {
      const condition = this.#condition('patternProperties', path, pattern, false);
      return [condition, { schema: each, path: below(path, 'patternProperties', pattern) }] as const;
    });
    const rest = restOf(schema, path, 'additionalProperties', 'unevaluatedProperties');
    if (properties.size === 0 && patterns.length === 0 && rest === null) return;
    this.#objects.push({ properties, patterns, rest });
  }

  #count(schema: Schema, keyword: string, path: string): number | null {
    const value = schema[keyword];
    if (value === undefined) return null;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) {
      this.#refuse(keyword, path, 'a whole number of at least 0 is wanted');
    }
    return value as number;
  }

  #list(value: unknown, keyword: string, path: string): readonly unknown[] {
    return Array.isArray(value) ? value : this.#refuse(keyword, path, 'a list is wanted');
  }

  #record(schema: Schema, keyword: string, path: string): readonly (readonly [string, unknown])[] {
    const value = schema[keyword];
    if (value === undefined) return [];
    return isRecord(value) ? Object.entries(value) : this.#refuse(keyword, path, 'an object is wanted');
  }

  finish(path: string): Facts {
    const implied = this.#impliedTypes.size > 0 && this.#values === null ? this.#impliedTypes : null;
    const types = this.#types ?? implied ?? new Set(jsonTypes.filter((type) => type !== 'integer'));
    return {
      path,
      types,
      values: this.#values,
      notValues: this.#notValues,
      number: { min: this.#low, max: this.#high, multiplesOf: this.#multiples },
      string: { min: this.#minLength, max: this.#maxLength, conditions: this.#conditions },
      array: this.#arrayFacts(),
      object: this.#objectFacts(),
    };
  }

  #arrayFacts(): ArrayFacts {
    const longest = Math.max(0, ...this.#arrays.map(({ prefix }) => prefix.length));
    const prefix = Array.from({ length: longest }, (_, place) =>
      this.#arrays.flatMap((each) => each.prefix[place] ?? (each.rest?.isLast ? [] : (each.rest ?? []))),
    );
    const rests = spoken(this.#arrays.flatMap(({ rest }) => rest ?? []));
    return {
      min: this.#minItems,
      max: this.#maxItems,
      prefix,
      rest: rests.length > 0 ? rests : null,
      contains: this.#contains,
      unique: this.#unique,
    };
  }

  /** What one schema leaves to its rest, another may name: then both hold. */
  #objectFacts(): ObjectFacts {
    const properties = new Map<string, readonly Located[]>();
    for (const key of new Set([...this.#objects.flatMap((each) => [...each.properties.keys()]), ...this.#required])) {
      const schemas = this.#objects.flatMap((each) => {
        const own = each.properties.get(key);
        const matched = each.patterns.filter(([pattern]) => meets(key, pattern)).map(([, located]) => located);
        const named = own ? [own, ...matched] : matched;
        return named.length > 0 ? named : each.rest && !each.rest.isLast ? [each.rest] : [];
      });
      properties.set(key, schemas.length > 0 ? schemas : spoken(this.#objects.flatMap(({ rest }) => rest ?? [])));
    }
    const patterns = this.#objects.flatMap((each) =>
      each.patterns.map(([pattern, located]) => ({ pattern, schemas: [located] })),
    );
    const rests = spoken(this.#objects.flatMap(({ rest }) => rest ?? []));
    if (patterns.length > 0 && this.#objects.length > 1 && rests.length > 0) {
      const { path } = rests[0]!;
      this.#refuse('patternProperties', path, 'beside other schemas of the same object it is not supported');
    }
    return {
      min: this.#minProperties,
      max: this.#maxProperties,
      properties,
      required: this.#required,
      patterns,
      rest: rests.length > 0 ? rests : null,
      names: this.#names,
    };
  }
}

function restOf(schema: Schema, path: string, keyword: string, lastKeyword: string): Rest | null {
  const isLast = schema[keyword] === undefined;
  const found = isLast ? lastKeyword : keyword;
  return schema[found] === undefined ? null : { schema: schema[found], path: below(path, found), isLast };
}

/** What is said of the rest: what is kept for last counts when nothing else is said. */
function spoken(rests: readonly Rest[]): readonly Rest[] {
  const first = rests.filter(({ isLast }) => !isLast);
  return first.length > 0 ? first : rests;
}

const least = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : Math.min(a, b));

function commonTypes(a: ReadonlySet<JsonType>, b: ReadonlySet<JsonType>): ReadonlySet<JsonType> {
  const has = (types: ReadonlySet<JsonType>, type: JsonType): boolean =>
    types.has(type) || (type === 'integer' && types.has('number'));
  return new Set(jsonTypes.filter((type) => has(a, type) && has(b, type) && (a.has(type) || b.has(type))));
}

/** Whether two JSON values are one value: the order of members does not matter. */
export function isSame(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((each, index) => isSame(each, b[index]));
  if (isRecord(a) && isRecord(b)) {
    const keys = Object.keys(a);
    return (
      keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && isSame(a[key], b[key]))
    );
  }
  return a === b;
}
