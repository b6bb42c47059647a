import { applyComparison, contains } from './operators.js';
import type { Runtime } from './runtime.js';
import { Callable, isDict, isFloat, isList, isUndefined, numberOf, type Value } from './values.js';

export type Test = (value: Value, args: readonly Value[], runtime: Runtime) => boolean;

const argument = (args: readonly Value[], runtime: Runtime): Value => {
  const value = args[0];
  if (value === undefined) throw runtime.fail('the test wants a value to test against');
  return value;
};

const remainder = (value: Value, divisor: Value, runtime: Runtime): number => {
  const [x, y] = [numberOf(value), numberOf(divisor)];
  if (x === null || y === null || y === 0) throw runtime.fail('the test wants numbers');
  return x % y;
};

const isNumber = (value: Value) => numberOf(value) !== null && typeof value !== 'boolean';

const equals: Test = (value, args, runtime) => applyComparison('==', value, argument(args, runtime), runtime);
const differs: Test = (value, args, runtime) => applyComparison('!=', value, argument(args, runtime), runtime);
const below: Test = (value, args, runtime) => applyComparison('<', value, argument(args, runtime), runtime);
const above: Test = (value, args, runtime) => applyComparison('>', value, argument(args, runtime), runtime);
const atMost: Test = (value, args, runtime) => applyComparison('<=', value, argument(args, runtime), runtime);
const atLeast: Test = (value, args, runtime) => applyComparison('>=', value, argument(args, runtime), runtime);

/** What may follow `is`. */
export const tests: ReadonlyMap<string, Test> = new Map<string, Test>([
  ['defined', (value) => !isUndefined(value)],
  ['undefined', (value) => isUndefined(value)],
  ['none', (value) => value === null],
  ['boolean', (value) => typeof value === 'boolean'],
  ['true', (value) => value === true],
  ['false', (value) => value === false],
  ['integer', (value) => typeof value === 'number' && Number.isInteger(value)],
  ['float', (value) => isFloat(value)],
  ['number', (value) => numberOf(value) !== null],
  ['string', (value) => typeof value === 'string'],
  ['mapping', (value) => isDict(value)],
  ['iterable', (value) => typeof value === 'string' || isList(value) || isDict(value) || isUndefined(value)],
  ['sequence', (value) => typeof value === 'string' || isList(value) || isDict(value) || isUndefined(value)],
  ['callable', (value) => value instanceof Callable],
  ['even', (value, _, runtime) => remainder(value, 2, runtime) === 0],
  ['odd', (value, _, runtime) => Math.abs(remainder(value, 2, runtime)) === 1],
  ['divisibleby', (value, args, runtime) => remainder(value, argument(args, runtime), runtime) === 0],
  ['eq', equals],
  ['equalto', equals],
  ['ne', differs],
  ['lt', below],
  ['lessthan', below],
  ['gt', above],
  ['greaterthan', above],
  ['le', atMost],
  ['ge', atLeast],
  ['in', (value, args, runtime) => contains(argument(args, runtime), value, runtime)],
  [
    'sameas',
    (value, args, runtime) => {
      const other = argument(args, runtime);
      return value === other || (isNumber(value) && isNumber(other) && equals(value, args, runtime));
    },
  ],
  ['lower', (value) => typeof value === 'string' && value === value.toLowerCase() && value !== value.toUpperCase()],
  ['upper', (value) => typeof value === 'string' && value === value.toUpperCase() && value !== value.toLowerCase()],
  ['escaped', () => false],
]);
