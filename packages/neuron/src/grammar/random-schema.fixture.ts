import { isIP } from 'node:net';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';

/** A schema, and values that meet it whose members stand in the order of declaration. */
export interface SchemaSample {
  readonly schema: Readonly<Record<string, unknown>>;
  readonly values: fc.Arbitrary<unknown>;
}

type Samples = fc.Arbitrary<SchemaSample>;

const isDate = (text: string): boolean =>
  /^\d{4}-\d\d-\d\d$/.test(text) && new Date(`${text}T00:00:00Z`).toISOString().startsWith(text);
const isTime = (text: string): boolean =>
  /^(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/.test(text);

/** A validator that is not ours. */
export function strangersValidator(): Ajv2020 {
  const ajv = new Ajv2020({ strict: false, multipleOfPrecision: 6 });
  ajv.addFormat('date', isDate);
  ajv.addFormat('time', isTime);
  ajv.addFormat('date-time', (text: string) => isDate(text.slice(0, 10)) && text[10] === 'T' && isTime(text.slice(11)));
  ajv.addFormat('uuid', /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i);
  ajv.addFormat('email', /^[^\s@"(),:;<>[\]\\]+@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9]+$/i);
  ajv.addFormat('hostname', /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i);
  ajv.addFormat('ipv4', (text: string) => isIP(text) === 4);
  ajv.addFormat('ipv6', (text: string) => isIP(text) === 6);
  ajv.addFormat('uri', /^[a-z][a-z0-9+.-]*:\/\/[^\s"<>\\^`{|}]+$/i);
  ajv.addFormat('duration', /^P(?!$)(?:\d+Y)?(?:\d+M)?(?:\d+W)?(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+S)?)?$/);
  ajv.addFormat('int32', {
    type: 'number',
    validate: (value: number) => Number.isInteger(value) && value === (value | 0),
  });
  return ajv;
}

const constant = (schema: SchemaSample['schema'], ...values: readonly unknown[]): SchemaSample => ({
  schema,
  values: fc.constantFrom(...values),
});

const text = (min: number, max: number): fc.Arbitrary<string> =>
  fc
    .string({ minLength: min, maxLength: max, unit: 'binary' })
    .filter((each) => !/\p{Cs}/u.test(each) && [...each].length >= min && [...each].length <= max);

const plainText: SchemaSample = { schema: { type: 'string' }, values: text(0, 12) };

const boundedText: Samples = fc.tuple(fc.nat(6), fc.nat(20)).map(([min, more]) => ({
  schema: { type: 'string', minLength: min, maxLength: min + more },
  values: text(min, min + more),
}));

const patterns: readonly (readonly [string, fc.Arbitrary<string>])[] = [
  ['^[a-z]{2,8}$', fc.stringMatching(/^[a-z]{2,8}$/)],
  ['\\d', fc.tuple(text(0, 4), fc.integer({ min: 0, max: 9 }), text(0, 4)).map(([a, b, c]) => `${a}${b}${c}`)],
  [
    '^(?:foo|bar)-[0-9]+',
    fc.tuple(fc.constantFrom('foo', 'bar'), fc.nat(), text(0, 3)).map(([a, b, c]) => `${a}-${b}${c}`),
  ],
  ['end$', text(0, 5).map((each) => `${each}end`)],
  ['^[^"\\\\]*$', text(0, 8).map((each) => each.replace(/["\\]/g, ''))],
  ['^\\s*\\S+\\s*$', fc.stringMatching(/^[ \t]*[!-~]+[ \t]*$/)],
  ['^\\u00e9|\\u{1f600}', text(0, 3).map((each) => `\u00e9${each}`)],
];
const patternText: Samples = fc
  .constantFrom(...patterns)
  .map(([pattern, values]) => ({ schema: { type: 'string', pattern }, values }));

const twoDigits = fc.integer({ min: 10, max: 28 });
const formats: readonly (readonly [string, fc.Arbitrary<string>])[] = [
  [
    'date',
    fc
      .tuple(fc.integer({ min: 1000, max: 9999 }), fc.integer({ min: 10, max: 12 }), twoDigits)
      .map((each) => each.join('-')),
  ],
  ['time', fc.constantFrom('00:00:00Z', '23:59:59.123+05:30')],
  [
    'date-time',
    fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }).map((each) => each.toISOString()),
  ],
  ['uuid', fc.uuid()],
  ['email', fc.constantFrom('a@b.co', 'first.last+tag@sub-domain.example.org')],
  ['hostname', fc.constantFrom('a', 'www.example.com', 'x-y.z1')],
  ['ipv4', fc.ipV4()],
  ['ipv6', fc.constantFrom('::', '::1', '2001:db8::ff00:42:8329', '1:2:3:4:5:6:7:8', 'fe80::')],
  ['uri', fc.constantFrom('https://example.com', 'http://a.b:80/c/d?e=f#g', 'x+y://h')],
  ['duration', fc.constantFrom('P1D', 'PT5M', 'P1Y2M3DT4H5M6S', 'P3W')],
];
const formatText: Samples = fc
  .constantFrom(...formats)
  .map(([format, values]) => ({ schema: { type: 'string', format }, values }));

const integers: Samples = fc
  .tuple(fc.integer({ min: -2000, max: 2000 }), fc.nat(5000), fc.nat(3))
  .map(([min, more, sides]) => ({
    schema: {
      type: 'integer',
      ...(sides & 1 ? { minimum: min } : {}),
      ...(sides & 2 ? { exclusiveMaximum: min + more + 1 } : {}),
    },
    values: fc.integer({ min, max: min + more }),
  }));

const numbers: Samples = fc
  .tuple(fc.integer({ min: -4000, max: 4000 }), fc.nat(4000), fc.nat(3))
  .map(([low, more, sides]) => ({
    schema: {
      type: 'number',
      ...(sides & 1 ? { exclusiveMinimum: low / 8 } : {}),
      ...(sides & 2 ? { maximum: (low + more + 1) / 8 } : {}),
    },
    values: fc.integer({ min: low + 1, max: low + more + 1 }).map((each) => each / 8),
  }));

const anyNumber: SchemaSample = {
  schema: { type: 'number' },
  values: fc.double({ min: -1e300, max: 1e300, noNaN: true }).map((each) => (Object.is(each, -0) ? 0 : each)),
};

const multiples: Samples = fc
  .constantFrom<readonly [number, boolean]>([7, true], [3, true], [10, true], [0.5, false], [0.01, false], [2.5, false])
  .chain(([multipleOf, isInteger]) =>
    fc.boolean().map((isBounded) => ({
      schema: {
        type: isInteger ? 'integer' : 'number',
        multipleOf,
        ...(isBounded ? { minimum: -100, maximum: 900.5 } : {}),
      },
      values: fc.integer({ min: -10, max: 80 }).map((each) => Number((each * multipleOf).toFixed(2)) + 0),
    })),
  );

const literals: Samples = fc.constantFrom(
  constant({ type: 'boolean' }, true, false),
  constant({ type: 'null' }, null),
  constant({ const: 'only "this"\n' }, 'only "this"\n'),
  constant({ enum: ['a', 'b', 3, null, { x: [1, 'y'] }, [], 1.5] }, 'a', 3, null, { x: [1, 'y'] }, [], 1.5),
  constant({ type: 'string', enum: ['red', 'green', 'greenish', 7] }, 'red', 'green', 'greenish'),
  constant({ type: ['integer', 'null'], minimum: 5, maximum: 7 }, 5, 6, 7, null),
  constant({ type: ['string', 'boolean'], not: { enum: ['no', true] }, maxLength: 3 }, 'yes', 'nop', '', false),
  constant({ not: { type: ['object', 'array', 'number', 'string'] } }, true, false, null),
  constant({ type: 'string', maxLength: 4, not: { pattern: '^a' } }, 'ba', '', '\u00e9', 'xyz'),
  constant({ type: 'string', minLength: 2, maxLength: 3, pattern: '^[ab]*$' }, 'ab', 'aaa', 'ba'),
  constant({ type: 'integer', format: 'int32' }, 0, 2147483647, -2147483648),
);

const scalars: Samples = fc.oneof(
  fc.constant(plainText),
  boundedText,
  patternText,
  formatText,
  integers,
  numbers,
  fc.constant(anyNumber),
  multiples,
  literals,
);

const arraysOf = (inner: Samples): Samples =>
  fc.tuple(inner, fc.nat(3), fc.nat(4), fc.nat(3)).map(([{ schema, values }, min, more, sides]) => ({
    schema: {
      type: 'array',
      items: schema,
      ...(sides & 1 ? { minItems: min } : {}),
      ...(sides & 2 ? { maxItems: min + more } : {}),
    },
    values: fc.array(values, { minLength: min, maxLength: min + more }),
  }));

const tuplesOf = (inner: Samples): Samples =>
  fc.tuple(inner, inner, inner, fc.nat(2)).map(([a, b, rest, minItems]) => ({
    schema: { type: 'array', prefixItems: [a.schema, b.schema], items: rest.schema, minItems, maxItems: 4 },
    values: fc
      .tuple(fc.integer({ min: minItems, max: 4 }), a.values, b.values, rest.values, rest.values)
      .map(([length, ...each]) => each.slice(0, length)),
  }));

const specialArrays: Samples = fc.constantFrom<SchemaSample>(
  {
    schema: { type: 'array', uniqueItems: true, items: { enum: ['x', 'y', 'z', 1] }, minItems: 1, maxItems: 3 },
    values: fc.uniqueArray(fc.constantFrom('x', 'y', 'z', 1), { minLength: 1, maxLength: 3 }),
  },
  {
    schema: { type: 'array', contains: { const: 5 }, items: { type: 'integer' } },
    values: fc.tuple(fc.array(fc.integer()), fc.array(fc.integer())).map(([a, b]) => [...a, 5, ...b]),
  },
);

const names = fc.uniqueArray(fc.oneof(fc.constantFrom('id', 'name', 'value', 'na', 'nam"e'), text(1, 5)), {
  minLength: 0,
  maxLength: 5,
});

const objectsOf = (inner: Samples): Samples =>
  fc
    .tuple(
      names,
      fc.array(fc.tuple(inner, fc.boolean()), { minLength: 5, maxLength: 5 }),
      fc.constantFrom('closed', 'open', 'typed', 'unsaid'),
      inner,
      fc.nat(7),
    )
    .map(([keys, members, kind, rest, bounds]) => {
      const known = keys.filter((key) => key !== '__proto__' && !/^\d+$/.test(key));
      const required = known.filter((_, index) => members[index]![1]);
      const min = bounds & 1 ? Math.min(known.length, required.length + 1) : 0;
      const max = bounds & 2 ? Math.max(min, required.length, known.length - 1) : null;
      const schema = {
        type: 'object',
        properties: Object.fromEntries(known.map((key, index) => [key, members[index]![0].schema])),
        required,
        ...(kind === 'closed' ? { additionalProperties: false } : {}),
        ...(kind === 'open' ? { additionalProperties: true } : {}),
        ...(kind === 'typed' ? { additionalProperties: rest.schema } : {}),
        ...(min > 0 ? { minProperties: min } : {}),
        ...(max !== null ? { maxProperties: max } : {}),
      };
      const values = fc
        .tuple(
          fc.tuple(...known.map((_, index) => fc.tuple(fc.boolean(), members[index]![0].values))),
          fc.array(fc.tuple(fc.constantFrom('zz', 'na\u00efve', 'i', 'idx', 'a"\\'), rest.values), {
            maxLength: kind === 'typed' ? 2 : 0,
          }),
        )
        .map(([each, others]) => {
          const entries = known.flatMap((key, index) =>
            members[index]![1] || each[index]![0] ? [[key, each[index]![1]] as const] : [],
          );
          return Object.fromEntries([...entries, ...others.filter(([key]) => !known.includes(key))]);
        })
        .filter((value) => {
          const count = Object.keys(value).length;
          return count >= min && (max === null || count <= max);
        });
      return { schema, values };
    });

const specialObjects = (inner: Samples): Samples =>
  inner.chain(({ schema, values }) =>
    fc.constantFrom<SchemaSample>(
      {
        schema: {
          type: 'object',
          patternProperties: { '^s_': schema, '^n': { type: 'integer' } },
          additionalProperties: false,
        },
        values: fc
          .tuple(fc.stringMatching(/^s_[a-z]{0,4}$/), values, fc.integer())
          .map(([key, value, n]) => ({ [key]: value, n1: n })),
      },
      {
        schema: { type: 'object', propertyNames: { pattern: '^[a-z]+$', maxLength: 5 }, additionalProperties: schema },
        values: fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), values, { maxKeys: 3, noNullPrototype: true }),
      },
      {
        schema: {
          type: 'object',
          properties: { a: schema, b: { type: 'boolean' } },
          dependentRequired: { a: ['b'] },
          additionalProperties: false,
        },
        values: fc.oneof(
          values.map((a) => ({ a, b: true })),
          fc.constant({}),
          fc.constant({ b: false }),
        ),
      },
      {
        schema: {
          allOf: [
            { type: 'object', properties: { a: schema }, required: ['a'] },
            { type: 'object', properties: { b: { type: 'integer', minimum: 3 } }, required: ['b'] },
            { properties: { b: { maximum: 9 } } },
          ],
          unevaluatedProperties: false,
        },
        values: fc.tuple(values, fc.integer({ min: 3, max: 9 })).map(([a, b]) => ({ a, b })),
      },
      {
        schema: {
          oneOf: [
            { type: 'object', properties: { kind: { const: 'one' }, value: schema }, required: ['kind', 'value'] },
            { type: 'object', properties: { kind: { const: 'two' } }, required: ['kind'], additionalProperties: false },
            { type: 'array', maxItems: 0 },
          ],
        },
        values: fc.oneof(
          values.map((value) => ({ kind: 'one', value })),
          fc.constant({ kind: 'two' }),
          fc.constant([]),
        ),
      },
      {
        schema: {
          type: 'object',
          properties: { kind: { enum: ['s', 'n'] }, value: { type: ['string', 'integer'], maxLength: 5 } },
          required: ['kind', 'value'],
          additionalProperties: false,
          if: { properties: { kind: { const: 's' } }, required: ['kind'] },
          // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
          then: { properties: { value: { type: 'string' } } },
          else: { properties: { value: { type: 'integer' } } },
        },
        values: fc.oneof(
          text(0, 5).map((value) => ({ kind: 's', value })),
          fc.integer().map((value) => ({ kind: 'n', value })),
        ),
      },
    ),
  );

const unionsOf = (inner: Samples): Samples =>
  fc
    .tuple(inner, inner)
    .map(([a, b]) => ({ schema: { anyOf: [a.schema, b.schema] }, values: fc.oneof(a.values, b.values) }));

const tree: SchemaSample = {
  schema: {
    $defs: {
      node: {
        type: 'object',
        properties: {
          name: { type: 'string', maxLength: 3 },
          children: { type: 'array', items: { $ref: '#/$defs/node' }, maxItems: 3 },
        },
        required: ['name', 'children'],
        additionalProperties: false,
      },
    },
    $ref: '#/$defs/node',
  },
  values: fc.letrec<{ node: unknown }>((tie) => ({
    node: fc.record({
      name: text(0, 3),
      children: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.constant([]),
        fc.array(tie('node'), { maxLength: 3 }),
      ),
    }),
  })).node,
};

/**
 * The same schema with an end to everything that could go on for ever: strings, arrays, objects and patterns get a maximum, and
 * what is open is closed. A model that knows no end then comes to one.
 */
export function bounded(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(bounded);
  if (typeof schema !== 'object' || schema === null) return schema;
  const own: Record<string, unknown> = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === 'allOf' ? (value as object[]).map(boundedMembers) : isData.has(key) ? value : bounded(value),
    ]),
  );
  const { type, properties = {} } = own as { type?: unknown; properties?: object };
  const most = Object.keys(properties).length;
  const isOpen =
    own['additionalProperties'] === true || (type === 'object' && own['additionalProperties'] === undefined);
  const isFixed = own['enum'] !== undefined || (own['format'] !== undefined && !isLong.has(own['format']));
  if (type === 'string' && !isFixed) own['maxLength'] ??= 24;
  if (type === 'array' && own['uniqueItems'] === undefined) own['maxItems'] ??= 3;
  if (isOpen && own['propertyNames'] === undefined)
    own['additionalProperties'] = own['patternProperties'] === undefined ? { type: 'boolean' } : false;
  if (type === 'object' && own['allOf'] === undefined) own['maxProperties'] ??= most + 2;
  delete own['contains'];
  if (own['patternProperties'] !== undefined) own['propertyNames'] ??= { maxLength: 24 };
  if (own['additionalProperties'] !== undefined && own['additionalProperties'] !== false)
    own['propertyNames'] ??= { maxLength: 24 };
  return own;
}

/** A part of an object: what it leaves open, another part may close. */
const boundedMembers = (part: object): object => ({
  ...part,
  ...('properties' in part
    ? {
        properties: Object.fromEntries(
          Object.entries(part.properties as object).map(([key, value]) => [key, bounded(value)]),
        ),
      }
    : {}),
});

/** Formats without a longest text. */
const isLong = new Set<unknown>(['email', 'hostname', 'uri']);
/** Keywords that stay as they are; arrays with `contains` have no longest. */
const isData = new Set([
  'enum',
  'const',
  'required',
  'type',
  'not',
  'if',
  'contains',
  'dependentRequired',
  'propertyNames',
]);

/** Random schemas with every keyword that is supported, up to `depth` values deep. */
export function randomSchemas(depth: number): Samples {
  let samples: Samples = scalars;
  for (let level = 0; level < depth; level++) {
    const inner = samples;
    samples = fc.oneof(
      { weight: 2, arbitrary: scalars },
      { weight: 3, arbitrary: objectsOf(inner) },
      { weight: 1, arbitrary: specialObjects(inner) },
      { weight: 2, arbitrary: arraysOf(inner) },
      { weight: 1, arbitrary: tuplesOf(inner) },
      { weight: 1, arbitrary: specialArrays },
      { weight: 1, arbitrary: unionsOf(inner) },
    );
  }
  return fc.oneof({ weight: 20, arbitrary: samples }, { weight: 1, arbitrary: fc.constant(tree) });
}
