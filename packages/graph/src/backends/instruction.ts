import { CortexError } from '@helexa/core';
import type { OpDefinition, OperandForm, Shape, ShapeContext } from '../op.js';
import { type OpName, type OpSignature, opcodes } from '../opcodes.js';
import { ops } from '../ops/index.js';
import { instructionWords, type Program, type TensorSpec, word } from '../program.js';
import { mostRowsOf, type StepLimits } from '../step.js';
import type { RowSymbol, Weight } from '../value.js';

/** One instruction of a program, read back out of its words and checked. */
export interface Instruction {
  readonly op: OpName;
  readonly definition: OpDefinition;
  readonly rows: RowSymbol;
  readonly inputs: ReadonlyMap<string, Operand>;
  readonly outputs: ReadonlyMap<string, Operand>;
  /** Indices into the program's tensors, by role; empty when an optional weight is absent. */
  readonly weights: ReadonlyMap<string, readonly number[]>;
  readonly params: ReadonlyMap<string, number>;
}

/** A window of the arena: element (r, c) lies at offset + r * stride + c. */
export interface Operand {
  readonly offset: number;
  readonly stride: number;
  readonly width: number;
  readonly rows: RowSymbol;
}

const rowSymbols: readonly RowSymbol[] = ['rows', 'sampled', 'patches', 'features'];
const byCode = new Map<number, OpName>(Object.entries(opcodes).map(([name, { code }]) => [code, name as OpName]));

/** Reads a program back into instructions; throws `program_invalid` where one could touch what it must not. */
export function readProgram(program: Program, limits: StepLimits): readonly Instruction[] {
  const count = program.words.length / instructionWords;
  if (!Number.isInteger(count)) refuse(Math.floor(count), `${program.words.length} words are not whole instructions`);
  return Array.from({ length: count }, (_, index) => new Reader(program, limits, index).read());
}

class Reader {
  readonly #program: Program;
  readonly #limits: StepLimits;
  readonly #index: number;
  readonly #words: Int32Array;
  readonly #floats: Float32Array;

  constructor(program: Program, limits: StepLimits, index: number) {
    this.#program = program;
    this.#limits = limits;
    this.#index = index;
    // A copy: the view of its floats needs its own alignment.
    this.#words = program.words.slice(index * instructionWords, (index + 1) * instructionWords);
    this.#floats = new Float32Array(this.#words.buffer);
  }

  read(): Instruction {
    const op = byCode.get(this.#words[word.opcode]!);
    if (!op) this.#refuse(`opcode ${this.#words[word.opcode]} is of no op`);
    const rows = rowSymbols[this.#words[word.rows]!];
    if (!rows) this.#refuse(`row symbol ${this.#words[word.rows]} is none of 0, 1, 2, 3`);
    const definition = ops[op];
    const signature: OpSignature = opcodes[op];
    const params = this.#params(signature);
    const forms = this.#forms(definition, params);
    const k = this.#words[word.k]!;
    const n = this.#words[word.n]!;
    const inputs = this.#operands(signature.inputs, word.inputs, (role, index) => ({
      width: forms[role]?.width ?? (index === 0 ? k : n),
      rows: forms[role]?.rows ?? rows,
    }));
    const outputs = this.#operands(signature.outputs, word.outputs, (role) => ({
      width: forms[role]?.width ?? n,
      rows,
    }));
    const weights = this.#weights(signature.weights);
    const instruction = { op, definition, rows, inputs, outputs, weights, params };
    this.#checkShape(instruction);
    this.#checkState(instruction);
    return instruction;
  }

  #params(signature: OpSignature): ReadonlyMap<string, number> {
    return new Map(
      signature.params.map(([name, type], index) => {
        const value = (type === 'f32' ? this.#floats : this.#words)[word.params + index]!;
        if (!Number.isFinite(value)) this.#refuse(`parameter '${name}' is ${value}; a finite number is wanted`);
        return [name, value];
      }),
    );
  }

  #forms(definition: OpDefinition, params: ReadonlyMap<string, number>): Readonly<Record<string, OperandForm>> {
    const context = {
      n: this.#words[word.n]!,
      k: this.#words[word.k]!,
      param: (name: string) => params.get(name)!,
      cache: (layer: number) => {
        const cache = this.#program.kv[layer];
        if (!cache) this.#refuse(`layer ${layer} has no cache; there are ${this.#program.kv.length}`);
        return cache;
      },
    };
    return definition.operands?.(context) ?? {};
  }

  #operands(
    roles: readonly string[],
    start: number,
    form: (role: string, index: number) => { width: number; rows: RowSymbol },
  ): ReadonlyMap<string, Operand> {
    const found = new Map<string, Operand>();
    for (const [index, spelled] of roles.entries()) {
      const role = spelled.replace('?', '');
      const offset = this.#words[start + 2 * index]!;
      const stride = this.#words[start + 2 * index + 1]!;
      if (offset === -1 && role !== spelled) continue;
      if (role === 'quantised') this.#refuse('it hands on quantised activations; this backend has no such form');
      const { width, rows } = form(role, index);
      const end = offset + (this.#mostRows(rows) - 1) * stride + width;
      const fits = offset >= 0 && width > 0 && this.#mostRows(rows) > 0 && Number.isInteger(width) && stride >= width;
      if (!fits || end > this.#program.arenaElements) {
        const place = `offset ${offset}, stride ${stride}, width ${width}`;
        this.#refuse(`operand '${role}' (${place}) leaves the arena of ${this.#program.arenaElements} elements`);
      }
      found.set(role, { offset, stride, width, rows });
    }
    return found;
  }

  #mostRows(rows: RowSymbol): number {
    return mostRowsOf(this.#limits)[rows];
  }

  #weights(roles: readonly string[]): ReadonlyMap<string, readonly number[]> {
    const found = new Map<string, readonly number[]>();
    let at: number = word.weights;
    for (const spelled of roles) {
      const role = spelled.replace(/\?|\.\.\./u, '');
      const isVariadic = spelled.endsWith('...');
      const words = this.#words.subarray(at, isVariadic ? word.bias : at + 1);
      const tensors = Array.from(words).filter((tensor) => tensor !== -1);
      for (const tensor of tensors) {
        if (!this.#program.tensors[tensor])
          this.#refuse(`weight '${role}' is tensor ${tensor}; there are ${this.#program.tensors.length}`);
      }
      if (tensors.length === 0 && !spelled.endsWith('?')) this.#refuse(`weight '${role}' is absent`);
      found.set(role, tensors);
      at = isVariadic ? word.bias : at + 1;
    }
    return found;
  }

  /** Asks the op's own shape rule, in the dimensions of the words and tensors. */
  #checkShape(instruction: Instruction): void {
    const { inputs, outputs, definition } = instruction;
    const node = this.#node(instruction);
    const shapes = this.#asProgramError(() => definition.shape(node));
    for (const [index, output] of [...outputs.values()].entries()) {
      const width = shapes[index]?.segments.reduce((sum, columns) => sum + columns, 0);
      const rows = shapes[index]?.rows;
      if (width !== output.width || rows !== output.rows)
        this.#refuse(
          `output ${index} is [${output.rows}, ${output.width}]; '${instruction.op}' gives [${rows}, ${width}] of inputs ${[...inputs.values()].map((input) => input.width).join(', ')}`,
        );
    }
  }

  #checkState(instruction: Instruction): void {
    const { state } = instruction.definition;
    if (!state || state.kind === 'features') return;
    const node = this.#node(instruction);
    const layer = instruction.params.get('layer')!;
    if (state.kind === 'kv') {
      const cache = this.#program.kv[layer];
      if (!cache) this.#refuse(`layer ${layer} has no cache; there are ${this.#program.kv.length}`);
      const wanted = this.#asProgramError(() => state.kvLayer?.(node)) ?? cache;
      const headDim = instruction.params.get('headDim')!;
      const heads = [...instruction.inputs.values()][0]!.width / headDim;
      if (wanted.kvHeads !== cache.kvHeads || headDim !== cache.headDim || heads % cache.kvHeads !== 0)
        this.#refuse(
          `${heads} heads of ${headDim} do not fit layer ${layer}'s cache of ${cache.kvHeads} heads of ${cache.headDim}`,
        );
      return;
    }
    const kept = this.#program.state[layer];
    const elements = this.#asProgramError(() => state.elements!(node));
    const have = state.kind === 'conv' ? kept?.convElements : kept?.deltaElements;
    if (have !== elements)
      this.#refuse(`layer ${layer} keeps ${have} elements of ${state.kind}; ${elements} are wanted`);
  }

  #node({ inputs, weights, params, op }: Instruction): ShapeContext {
    const shapes = [...inputs.values()].map((input): Shape => ({ rows: input.rows, segments: [input.width] }));
    return {
      name: op,
      inputs: shapes,
      weights: Object.fromEntries([...weights].map(([role, tensors]) => [role, this.#weight(role, tensors)])),
      // What all ranks of a collective have together stands nowhere but in the width of its output.
      attributes: { ...Object.fromEntries(params), columns: this.#words[word.n]! },
    };
  }

  #weight(role: string, tensors: readonly number[]): Weight | undefined {
    const specs = tensors.map((tensor) => this.#program.tensors[tensor]!);
    const [first] = specs;
    if (!first) return undefined;
    if (specs.some((spec) => spec.cols !== first.cols)) this.#refuse(`segments of weight '${role}' differ in columns`);
    const segments = specs.map((spec, index) => ({ name: spec.name, rows: spec.rows, tensor: tensors[index]! }));
    return { slot: first.name, segments, cols: isVector(first, role) ? null : first.cols, cut: null };
  }

  #asProgramError<T>(ask: () => T): T {
    try {
      return ask();
    } catch (cause) {
      if (!CortexError.isInstance(cause)) throw cause;
      throw new CortexError('program_invalid', { instruction: this.#index, reason: cause.message }, { cause });
    }
  }

  #refuse(reason: string): never {
    return refuse(this.#index, reason);
  }
}

/** A tensor spec gives a vector one column; only matrices are multiplied by, convolved with or looked up. */
const isVector = (spec: TensorSpec, role: string): boolean =>
  spec.cols === 1 && !spec.lookup && role !== 'matrix' && role !== 'kernel';

function refuse(instruction: number, reason: string): never {
  throw new CortexError('program_invalid', { instruction, reason });
}

/** Throws `program_invalid` unless the ranks run the same ops in the same order and a gather takes every rank's columns. */
export function checkLockStep(ranks: readonly (readonly Instruction[])[]): void {
  const [first] = ranks;
  for (const instructions of ranks) {
    if (instructions.length !== first!.length)
      refuse(Math.min(instructions.length, first!.length), 'ranks differ in length; equal programs are wanted');
    for (const [index, { op, rows }] of instructions.entries()) {
      const wanted = first![index]!;
      if (op !== wanted.op || rows !== wanted.rows)
        refuse(index, `a rank runs '${op}' where rank 0 runs '${wanted.op}'`);
    }
  }
  for (const [index, { op, inputs, outputs }] of first!.entries()) {
    const widths = ranks.map((instructions) => instructions[index]!.inputs.get('x')?.width ?? 0);
    const sum = widths.reduce((total, width) => total + width, 0);
    const whole = outputs.get('y')?.width;
    if (op === 'gather' && sum !== whole) refuse(index, `ranks have ${sum} columns together; ${whole} are wanted`);
    if (op === 'all_reduce' && widths.some((width) => width !== inputs.get('x')!.width))
      refuse(index, `ranks have ${widths.join(', ')} columns; equal widths are wanted`);
  }
}
