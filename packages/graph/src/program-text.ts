import { type OpName, type OpSignature, opcodes } from './opcodes.js';
import { instructionWords, type Program, word } from './program.js';

/** Names of the values an instruction reads and writes, in operand order. */
export interface OperandNames {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

const rowNames = ['rows', 'sampled', 'patches', 'features'];

const byCode: ReadonlyMap<number, readonly [OpName, OpSignature]> = new Map(
  Object.entries(opcodes).map(([name, signature]) => [signature.code, [name as OpName, signature]]),
);

/** The op of an opcode; undefined for a code that no op has. */
export const opOfCode = (code: number): readonly [OpName, OpSignature] | undefined => byCode.get(code);

/**
 * The stable text form of a program: a heading, then one line per instruction. `*` marks a barrier; an operand reads
 * `role=name@offset/stride`.
 *
 * @example
 * "3 * linear rows 128x64 y=layers.0.qkv@2048/128 <- x=layers.0.attnNorm@0/64 | matrix=layers.0.qkv.q,layers.0.qkv.k"
 */
export function programText(program: Omit<Program, 'text'>, names: readonly OperandNames[]): string {
  const { rank, ranks, arenaElements, tensors, kv, state, vocab } = program;
  const heading = [
    `rank ${rank} of ${ranks}`,
    `arena ${arenaElements}`,
    `tensors ${tensors.length}`,
    `kv ${kv.map((layer) => `${layer.kvHeads}x${layer.headDim}`).join(',') || '-'}`,
    `state ${state.map((layer) => `${layer.convElements}+${layer.deltaElements}`).join(',') || '-'}`,
    `vocab ${vocab}`,
  ].join(' | ');
  const lines = names.map((operands, index) => `${index} ${instructionText(program, index, operands)}`);
  return `${[heading, ...lines].join('\n')}\n`;
}

function instructionText(program: Omit<Program, 'text'>, index: number, names: OperandNames): string {
  const words = program.words.subarray(index * instructionWords, (index + 1) * instructionWords);
  const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
  const [op, signature] = opOfCode(words[word.opcode]!) ?? [`op ${words[word.opcode]}`, emptySignature];
  const operands = (roles: readonly string[], first: number, known: readonly string[]): string =>
    roles
      .map(
        (role, place) =>
          [role.replace('?', ''), words[first + 2 * place]!, words[first + 2 * place + 1]!, place] as const,
      )
      .filter(([, offset]) => offset >= 0)
      .map(([role, offset, stride, place]) => `${role}=${known[place]}@${offset}/${stride}`)
      .join(' ');
  const params = signature.params.map(([name, type], place) =>
    type === 'f32' ? `${name}=${shortFloat(floats[word.params + place]!)}` : `${name}=${words[word.params + place]}`,
  );
  const parts = [
    [
      words[word.barrier] ? '*' : '-',
      op,
      rowNames[words[word.rows]!] ?? '?',
      `${words[word.n]}x${words[word.k]}`,
      operands(signature.outputs, word.outputs, names.outputs),
      '<-',
      operands(signature.inputs, word.inputs, names.inputs),
    ]
      .filter((part) => part !== '')
      .join(' '),
    weightText(words, signature, program),
    params.join(' '),
  ];
  return parts.filter((part) => part !== '').join(' | ');
}

const emptySignature: OpSignature = { code: 0, inputs: [], outputs: [], weights: [], params: [] };

function weightText(words: Int32Array, signature: OpSignature, program: Omit<Program, 'text'>): string {
  let at: number = word.weights;
  const parts: string[] = [];
  for (const role of signature.weights) {
    const end = role.endsWith('...') ? word.bias : at + 1;
    const tensors = [...words.subarray(at, end)].filter((tensor) => tensor >= 0);
    const tensorNames = tensors.map((tensor) => program.tensors[tensor]?.name ?? String(tensor));
    if (tensors.length > 0) parts.push(`${role.replace(/\?|\.\.\./u, '')}=${tensorNames.join(',')}`);
    at = end;
  }
  return parts.join(' ');
}

/** The shortest decimal that gives this float32 again. */
function shortFloat(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(value);
}
