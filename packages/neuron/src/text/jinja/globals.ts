import { MethodArguments } from './methods.js';
import { maxRange, type Runtime } from './runtime.js';
import { strftime } from './strftime.js';
import { type Arguments, Callable, isDict, itemsOf, Namespace, textOf, typeName, type Value } from './values.js';

/** Functions that every template can call. */
export function makeGlobals(runtime: Runtime): Map<string, Value> {
  const define = (name: string, call: (args: MethodArguments) => Value): [string, Value] => [
    name,
    new Callable(name, (args) => call(new MethodArguments(name, args, runtime))),
  ];
  return new Map<string, Value>([
    define('range', (args) => range(args, runtime)),
    define('dict', (args) => membersOf(args.all, runtime)),
    define('namespace', (args) => new Namespace(membersOf(args.all, runtime))),
    define('raise_exception', (args) => {
      throw runtime.fail(textOf(args.required(0, 'message'), runtime));
    }),
    define('strftime_now', (args) => runtime.text(strftime(runtime.now(), args.text(0, 'format')))),
    define('joiner', (args) => joiner(args.optionalText(0, 'sep', ', '))),
    define('cycler', (args) => cycler(args.all.positional, runtime)),
  ]);
}

function range(args: MethodArguments, runtime: Runtime): Value {
  const single = args.count === 1;
  const start = single ? 0 : args.integer(0, 'start', 0);
  const stop = args.integer(single ? 0 : 1, 'stop', 0);
  const step = args.integer(2, 'step', 1);
  if (step === 0) throw runtime.fail('the step of a range is 0');
  const count = Math.max(0, Math.ceil((stop - start) / step));
  if (count > maxRange) throw runtime.fail(`a range of ${count} items is longer than ${maxRange}`);
  return runtime.list(Array.from({ length: count }, (_, index) => start + index * step));
}

function membersOf(args: Arguments, runtime: Runtime): Map<string, Value> {
  const members = new Map<string, Value>();
  for (const source of args.positional) {
    const pairs = isDict(source) ? source : itemsOf(source, runtime).map((pair) => itemsOf(pair, runtime));
    for (const [key, value] of pairs) {
      if (typeof key !== 'string' || value === undefined) {
        throw runtime.fail(`members have texts as names, not '${typeName(key ?? null)}'`);
      }
      members.set(key, value);
    }
  }
  for (const [name, value] of args.named) members.set(name, value);
  return members;
}

function joiner(separator: string): Value {
  let used = false;
  return new Callable('joiner', () => {
    const text = used ? separator : '';
    used = true;
    return text;
  });
}

function cycler(items: readonly Value[], runtime: Runtime): Value {
  if (items.length === 0) throw runtime.fail('a cycler wants at least one item');
  let at = 0;
  const next = new Callable('next', () => items[at++ % items.length]!);
  const reset = new Callable('reset', () => {
    at = 0;
    return null;
  });
  return new Namespace(
    new Map<string, Value>([
      ['next', next],
      ['reset', reset],
    ]),
  );
}
