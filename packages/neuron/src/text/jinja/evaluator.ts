import type { CallArguments, Expression, Parameter, Statement, Target } from './ast.js';
import { filters } from './filters.js';
import { MethodArguments, methodOf } from './methods.js';
import { applyBinary, applyComparison } from './operators.js';
import type { Runtime } from './runtime.js';
import { tests } from './tests.js';
import {
  type Arguments,
  Callable,
  FloatValue,
  float,
  isDict,
  isEqual,
  isFloat,
  isList,
  isTrue,
  isUndefined,
  itemsOf,
  Namespace,
  numberOf,
  Tuple,
  textOf,
  typeName,
  UndefinedValue,
  type Value,
} from './values.js';

/** Names that are visible at one place; assignments go to the innermost scope. */
class Scope {
  readonly #parent: Scope | null;
  readonly #names: Map<string, Value>;

  constructor(parent: Scope | null, names = new Map<string, Value>()) {
    this.#parent = parent;
    this.#names = names;
  }

  get(name: string): Value | undefined {
    for (let scope: Scope | null = this; scope !== null; scope = scope.#parent) {
      const value = scope.#names.get(name);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  set(name: string, value: Value): void {
    this.#names.set(name, value);
  }
}

/** What a body of statements ends with. */
type Outcome = 'done' | 'break' | 'continue';

/** Collects the text of one body. */
class Output {
  readonly #parts: string[] = [];
  readonly #runtime: Runtime;
  #length = 0;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  write(text: string): void {
    this.#length += text.length;
    this.#runtime.reserve(this.#length);
    this.#parts.push(text);
  }

  get text(): string {
    return this.#parts.join('');
  }
}

/** Runs a parsed template over its variables. */
export function evaluateTemplate(
  body: readonly Statement[],
  variables: Map<string, Value>,
  globals: Map<string, Value>,
  runtime: Runtime,
): string {
  return new Evaluator(runtime).run(body, new Scope(new Scope(new Scope(null, globals), variables)));
}

class Evaluator {
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  run(body: readonly Statement[], scope: Scope): string {
    const output = new Output(this.#runtime);
    this.#body(body, scope, output);
    return output.text;
  }

  #body(body: readonly Statement[], scope: Scope, output: Output): Outcome {
    for (const statement of body) {
      const outcome = this.#statement(statement, scope, output);
      if (outcome !== 'done') return outcome;
    }
    return 'done';
  }

  #statement(statement: Statement, scope: Scope, output: Output): Outcome {
    const runtime = this.#runtime;
    runtime.line = statement.line;
    runtime.spend();
    switch (statement.kind) {
      case 'text':
        output.write(statement.text);
        return 'done';
      case 'print':
        output.write(textOf(this.#evaluate(statement.value, scope), runtime));
        return 'done';
      case 'if':
        for (const [test, body] of statement.branches) {
          if (isTrue(this.#evaluate(test, scope))) return this.#body(body, scope, output);
        }
        return this.#body(statement.otherwise, scope, output);
      case 'for':
        this.#loop(statement, this.#evaluate(statement.iterable, scope), scope, output, 0);
        return 'done';
      case 'set':
        this.#assign(statement.target, this.#evaluate(statement.value, scope), scope);
        return 'done';
      case 'set-block': {
        const text = this.run(statement.body, new Scope(scope));
        this.#assign(statement.target, this.#applyToText(statement.filter, text, scope), scope);
        return 'done';
      }
      case 'filter-block': {
        const text = this.run(statement.body, new Scope(scope));
        output.write(textOf(this.#applyToText(statement.filter, text, scope), runtime));
        return 'done';
      }
      case 'macro':
        scope.set(statement.name, this.#macro(statement.name, statement.parameters, statement.body, scope));
        return 'done';
      case 'call-block': {
        const caller = this.#macro('caller', statement.parameters, statement.body, scope);
        output.write(textOf(this.#call(statement.call, scope, caller), runtime));
        return 'done';
      }
      case 'with': {
        const inner = new Scope(scope);
        for (const [target, value] of statement.bindings) this.#assign(target, this.#evaluate(value, scope), inner);
        return this.#body(statement.body, inner, output);
      }
      case 'block':
        return this.#body(statement.body, new Scope(scope), output);
      case 'break':
      case 'continue':
        return statement.kind;
    }
  }

  #applyToText(filter: Expression | null, text: string, scope: Scope): Value {
    return filter === null ? text : this.#filter(filter, text, scope);
  }

  #assign(target: Target, value: Value, scope: Scope): void {
    const runtime = this.#runtime;
    switch (target.kind) {
      case 'name':
        scope.set(target.name, value);
        return;
      case 'member': {
        const object = scope.get(target.object);
        if (!(object instanceof Namespace)) throw runtime.fail(`'${target.object}' is not a namespace`);
        object.members.set(target.name, value);
        return;
      }
      case 'unpack': {
        const items = itemsOf(value, runtime);
        if (items.length !== target.targets.length) {
          throw runtime.fail(`${items.length} values cannot be unpacked into ${target.targets.length} names`);
        }
        target.targets.forEach((inner, index) => {
          this.#assign(inner, items[index]!, scope);
        });
      }
    }
  }

  #loop(
    statement: Extract<Statement, { kind: 'for' }>,
    iterable: Value,
    scope: Scope,
    output: Output,
    depth: number,
  ): void {
    const runtime = this.#runtime;
    let items = itemsOf(iterable, runtime);
    const { filter } = statement;
    if (filter !== null) {
      items = items.filter((item) => {
        const inner = new Scope(scope);
        this.#assign(statement.target, item, inner);
        return isTrue(this.#evaluate(filter, inner));
      });
    }
    if (items.length === 0) {
      this.#body(statement.otherwise, new Scope(scope), output);
      return;
    }
    let previous: readonly Value[] | null = null;
    const changed = (args: Arguments) => {
      const differs = previous === null || !isEqual(previous, args.positional, runtime);
      previous = args.positional;
      return differs;
    };
    const recurse = (args: Arguments) =>
      runtime.nested(() => {
        if (!statement.recursive) throw runtime.fail("'loop' is called, but its loop is not recursive");
        const inner = new Output(runtime);
        this.#loop(statement, args.positional[0] ?? null, scope, inner, depth + 1);
        return inner.text;
      });
    for (let index = 0; index < items.length; index++) {
      runtime.spend();
      const inner = new Scope(scope);
      inner.set('loop', new Callable('loop', recurse, (name) => loopMember(name, items, index, depth, changed)));
      this.#assign(statement.target, items[index]!, inner);
      if (this.#body(statement.body, inner, output) === 'break') return;
    }
  }

  #macro(name: string, parameters: readonly Parameter[], body: readonly Statement[], scope: Scope): Callable {
    return new Callable(name, ({ positional, named }) =>
      this.#runtime.nested(() => {
        const inner = new Scope(scope);
        const known = new Set(parameters.map((parameter) => parameter.name));
        parameters.forEach((parameter, index) => {
          // None is a value that can be given: only an absent argument takes the default.
          const given = index < positional.length ? positional[index] : named.get(parameter.name);
          if (given !== undefined) inner.set(parameter.name, given);
          else if (parameter.fallback !== null) inner.set(parameter.name, this.#evaluate(parameter.fallback, inner));
          else inner.set(parameter.name, new UndefinedValue(`argument '${parameter.name}' of '${name}' was not given`));
        });
        inner.set('varargs', Tuple.make(positional.slice(parameters.length)));
        inner.set('kwargs', new Map([...named].filter(([key]) => !known.has(key))));
        const caller = named.get('caller');
        if (caller !== undefined) inner.set('caller', caller);
        const { line } = this.#runtime;
        const text = this.run(body, inner);
        this.#runtime.line = line;
        return text;
      }),
    );
  }

  #evaluate(node: Expression, scope: Scope): Value {
    const runtime = this.#runtime;
    runtime.spend();
    switch (node.kind) {
      case 'string':
      case 'integer':
      case 'boolean':
        return node.value;
      case 'float':
        return float(node.value);
      case 'none':
        return null;
      case 'name':
        return orUndefined(scope.get(node.name), () => `'${node.name}' is undefined`);
      case 'list':
        return runtime.list(node.items.map((item) => this.#evaluate(item, scope)));
      case 'tuple':
        return Tuple.make(node.items.map((item) => this.#evaluate(item, scope)));
      case 'dict':
        return new Map(node.entries.map(([key, value]) => [this.#key(key, scope), this.#evaluate(value, scope)]));
      case 'not':
        return !isTrue(this.#evaluate(node.operand, scope));
      case 'sign':
        return this.#sign(this.#evaluate(node.operand, scope), node.negative);
      case 'and': {
        const left = this.#evaluate(node.left, scope);
        return isTrue(left) ? this.#evaluate(node.right, scope) : left;
      }
      case 'or': {
        const left = this.#evaluate(node.left, scope);
        return isTrue(left) ? left : this.#evaluate(node.right, scope);
      }
      case 'compare': {
        let left = this.#evaluate(node.first, scope);
        for (const [operator, operand] of node.rest) {
          const right = this.#evaluate(operand, scope);
          runtime.line = node.line;
          if (!applyComparison(operator, left, right, runtime)) return false;
          left = right;
        }
        return true;
      }
      case 'binary': {
        const left = this.#evaluate(node.left, scope);
        const right = this.#evaluate(node.right, scope);
        runtime.line = node.line;
        return applyBinary(node.operator, left, right, runtime);
      }
      case 'conditional':
        if (isTrue(this.#evaluate(node.test, scope))) return this.#evaluate(node.value, scope);
        if (node.otherwise !== null) return this.#evaluate(node.otherwise, scope);
        return new UndefinedValue('the condition is false and there is no else');
      case 'attribute':
        return this.#attribute(this.#evaluate(node.object, scope), node.name);
      case 'item':
        return this.#item(this.#evaluate(node.object, scope), this.#evaluate(node.key, scope));
      case 'slice':
        return this.#slice(node, scope);
      case 'call':
        return this.#call(node, scope, null);
      case 'filter':
        return this.#filter(node, '', scope);
      case 'test': {
        const value = this.#evaluate(node.operand, scope);
        const args = node.args.positional.map((arg) => this.#evaluate(arg, scope));
        runtime.line = node.line;
        return tests.get(node.name)!(value, args, runtime);
      }
    }
  }

  #key(node: Expression, scope: Scope): Value {
    const key = this.#evaluate(node, scope);
    if (key instanceof FloatValue) return key.value;
    if (key !== null && typeof key === 'object') {
      throw this.#runtime.fail(`a value of type '${typeName(key)}' cannot be a key`);
    }
    return key;
  }

  #sign(operand: Value, negative: boolean): Value {
    const number = numberOf(operand);
    if (isUndefined(operand)) throw this.#runtime.fail(operand.reason);
    if (number === null) throw this.#runtime.fail(`'${typeName(operand)}' has no sign`);
    const signed = negative ? -number : number;
    return isFloat(operand) ? float(signed) : signed;
  }

  #attribute(object: Value, name: string): Value {
    const runtime = this.#runtime;
    const method = methodOf(object, name, runtime);
    if (method !== undefined) return method;
    if (isDict(object) && object.has(name)) return object.get(name)!;
    if (object instanceof Namespace && object.members.has(name)) return object.members.get(name)!;
    const member = object instanceof Callable ? object.member(name) : undefined;
    if (member !== undefined) return member;
    if (isUndefined(object)) throw runtime.fail(object.reason);
    return new UndefinedValue(`'${typeName(object)}' has no attribute '${name}'`);
  }

  #item(object: Value, key: Value): Value {
    const runtime = this.#runtime;
    if (isUndefined(object)) throw runtime.fail(object.reason);
    if (isDict(object)) {
      const plain = key instanceof FloatValue ? key.value : key;
      const value = object.get(plain);
      if (value !== undefined) return value;
    }
    if (typeof key === 'number' && (isList(object) || typeof object === 'string')) {
      const items = typeof object === 'string' ? itemsOf(object, runtime) : object;
      const item = items.at(key);
      if (item !== undefined && Number.isInteger(key)) return item;
      return new UndefinedValue(`'${typeName(object)}' has no item ${key}`);
    }
    return typeof key === 'string'
      ? this.#attribute(object, key)
      : new UndefinedValue(`'${typeName(object)}' has no such item`);
  }

  #slice(node: Extract<Expression, { kind: 'slice' }>, scope: Scope): Value {
    const runtime = this.#runtime;
    const object = this.#evaluate(node.object, scope);
    if (isUndefined(object)) throw runtime.fail(object.reason);
    if (!isList(object) && typeof object !== 'string') throw runtime.fail(`'${typeName(object)}' cannot be sliced`);
    const bound = (part: Expression | null): number | null => {
      const value = part === null ? null : this.#evaluate(part, scope);
      if (value === null || (typeof value === 'number' && Number.isInteger(value))) return value;
      throw runtime.fail(`a slice wants integers, not '${typeName(value)}'`);
    };
    const items = itemsOf(object, runtime);
    const taken = runtime.list(sliceItems(items, bound(node.start), bound(node.stop), bound(node.step), runtime));
    if (typeof object === 'string') return runtime.text(taken.join(''));
    return object instanceof Tuple ? Tuple.make(taken) : taken;
  }

  #call(node: Expression, scope: Scope, caller: Callable | null): Value {
    const runtime = this.#runtime;
    if (node.kind !== 'call') throw runtime.fail('only a call can be called');
    const callee = this.#evaluate(node.callee, scope);
    const args = this.#arguments(node.args, scope, caller);
    runtime.line = node.line;
    if (isUndefined(callee)) throw runtime.fail(callee.reason);
    if (!(callee instanceof Callable)) throw runtime.fail(`a value of type '${typeName(callee)}' cannot be called`);
    return callee.call(args);
  }

  #filter(node: Expression, text: string, scope: Scope): Value {
    if (node.kind !== 'filter') return this.#evaluate(node, scope);
    const value =
      node.operand === null
        ? text
        : node.operand.kind === 'filter'
          ? this.#filter(node.operand, text, scope)
          : this.#evaluate(node.operand, scope);
    const args = new MethodArguments(node.name, this.#arguments(node.args, scope, null), this.#runtime);
    this.#runtime.line = node.line;
    this.#runtime.touch(value);
    return filters.get(node.name)!(value, args, this.#runtime);
  }

  #arguments(args: CallArguments, scope: Scope, caller: Callable | null): Arguments {
    const positional = args.positional.map((arg) => this.#evaluate(arg, scope));
    const named = new Map(args.named.map(([name, value]) => [name, this.#evaluate(value, scope)]));
    if (caller !== null) named.set('caller', caller);
    return { positional, named };
  }
}

const orUndefined = (value: Value | undefined, reason: () => string): Value =>
  value === undefined ? new UndefinedValue(reason()) : value;

/** What `loop` tells inside a loop; made only when a template asks. */
function loopMember(
  name: string,
  items: readonly Value[],
  index: number,
  depth: number,
  changed: (args: Arguments) => Value,
): Value | undefined {
  switch (name) {
    case 'index':
      return index + 1;
    case 'index0':
      return index;
    case 'revindex':
      return items.length - index;
    case 'revindex0':
      return items.length - index - 1;
    case 'first':
      return index === 0;
    case 'last':
      return index === items.length - 1;
    case 'length':
      return items.length;
    case 'depth':
      return depth + 1;
    case 'depth0':
      return depth;
    case 'previtem':
      return orUndefined(items[index - 1], () => 'there is no previous item');
    case 'nextitem':
      return orUndefined(items[index + 1], () => 'there is no next item');
    case 'cycle':
      return new Callable('cycle', ({ positional }) =>
        orUndefined(positional[index % positional.length], () => 'there is nothing to cycle'),
      );
    case 'changed':
      return new Callable('changed', changed);
    default:
      return undefined;
  }
}

/** Python's extended slice. */
function sliceItems(
  items: readonly Value[],
  start: number | null,
  stop: number | null,
  step: number | null,
  runtime: Runtime,
): Value[] {
  const stride = step ?? 1;
  if (stride === 0) throw runtime.fail('the step of a slice is 0');
  const { length } = items;
  const clamp = (bound: number, low: number, high: number) =>
    Math.min(Math.max(bound < 0 ? bound + length : bound, low), high);
  const taken: Value[] = [];
  if (stride > 0) {
    const end = stop === null ? length : clamp(stop, 0, length);
    for (let at = start === null ? 0 : clamp(start, 0, length); at < end; at += stride) taken.push(items[at]!);
  } else {
    const end = stop === null ? -1 : clamp(stop, -1, length - 1);
    for (let at = start === null ? length - 1 : clamp(start, -1, length - 1); at > end; at += stride) {
      taken.push(items[at]!);
    }
  }
  return taken;
}
