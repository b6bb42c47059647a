import { type OpSignature, opcodes } from '../opcodes.js';
import { instructionWords, pageTokens, word } from '../program.js';
import { header, layoutFields, patchPlace, sampled, sampling } from '../step.js';

const isOptional = (role: string): boolean => role.endsWith('?');
const isVariadic = (role: string): boolean => role.endsWith('...');
const bareName = (role: string): string => role.replace(/\?$|\.\.\.$/, '');
const optionalMask = (roles: readonly string[]): number =>
  roles.reduce((mask, role, index) => (isOptional(role) ? mask | (1 << index) : mask), 0);

/** Weight word of each role: a `...` role takes words 0..3, a role after it takes word 4. */
function weightWords(roles: readonly string[]): readonly { name: string; word: number; optional: boolean }[] {
  const variadic = roles.some(isVariadic);
  return roles.map((role, index) => ({
    name: bareName(role),
    word: isVariadic(role) ? 0 : variadic ? 4 : index,
    optional: isOptional(role),
  }));
}

const constants = (name: string, entries: readonly (readonly [string, number])[]): string[] => [
  `namespace ${name} {`,
  ...entries.map(([key, value]) => `inline constexpr int ${key} = ${value};`),
  `}  // namespace ${name}`,
];

function renderOp(name: string, signature: OpSignature): string[] {
  const roles = (kind: readonly string[]) => kind.map((role, index) => [bareName(role), index] as const);
  const weights = weightWords(signature.weights);
  return [
    `namespace ${name} {`,
    ...constants('in', roles(signature.inputs)),
    ...constants('out', roles(signature.outputs)),
    ...constants(
      'weight',
      weights.map((weight) => [weight.name, weight.word] as const),
    ),
    ...constants(
      'param',
      signature.params.map(([param], index) => [param, index] as const),
    ),
    `}  // namespace ${name}`,
    '',
  ];
}

function renderSignature(name: string, signature: OpSignature): string {
  const weights = weightWords(signature.weights);
  const variadic = signature.weights.some(isVariadic);
  const required = weights
    .filter((weight) => !weight.optional && !(variadic && weight.word === 0))
    .reduce((mask, weight) => mask | (1 << weight.word), 0);
  const allowed = weights.reduce((mask, weight) => mask | (1 << weight.word), variadic ? 0b1111 : 0);
  const floats = signature.params.reduce((mask, [, type], index) => (type === 'f32' ? mask | (1 << index) : mask), 0);
  const fields = [
    `Opcode::${name}`,
    `"${name}"`,
    signature.inputs.length,
    optionalMask(signature.inputs),
    signature.outputs.length,
    optionalMask(signature.outputs),
    variadic,
    required,
    allowed,
    signature.params.length,
    floats,
  ];
  return `    {${fields.join(', ')}},`;
}

/** The C++ view of the instruction set and the step buffer; the committed `native/cortex/generated/opcodes.h` equals it. */
export function renderOpcodesHeader(): string {
  const entries = Object.entries(opcodes) as [string, OpSignature][];
  const lines = [
    '// Written by `npm run generate` from packages/graph/src/opcodes.ts, program.ts and step.ts.',
    '#pragma once',
    '',
    '#include <cstdint>',
    '',
    'namespace cortex {',
    '',
    `inline constexpr int instruction_words = ${instructionWords};`,
    `inline constexpr int page_tokens = ${pageTokens};`,
    '',
    'enum class Opcode : std::int32_t {',
    ...entries.map(([name, signature]) => `  ${name} = ${signature.code},`),
    '};',
    '',
    '// Masks have bit i for role i; weight masks have bit i for weight word i.',
    'struct OpSignature {',
    '  Opcode code;',
    '  const char* name;',
    '  int inputs;',
    '  unsigned optional_inputs;',
    '  int outputs;',
    '  unsigned optional_outputs;',
    '  bool variadic_weights;',
    '  unsigned required_weights;',
    '  unsigned allowed_weights;',
    '  int params;',
    '  unsigned float_params;',
    '};',
    '',
    'inline constexpr OpSignature op_signatures[] = {',
    ...entries.map(([name, signature]) => renderSignature(name, signature)),
    '};',
    '',
    '// Positions of each op by role name: cortex::op::<op>::{in,out,weight,param}::<role>.',
    'namespace op {',
    ...entries.flatMap(([name, signature]) => renderOp(name, signature)),
    '}  // namespace op',
    '',
    ...constants('word', Object.entries(word)),
    ...constants('header_word', Object.entries(header)),
    ...constants('sampling_word', Object.entries(sampling)),
    ...constants('sampled_word', Object.entries(sampled)),
    ...constants('patch_word', Object.entries(patchPlace)),
    '',
    '// Word offsets of the step buffer, in the order that TypeScript passes them.',
    'struct StepOffsets {',
    ...layoutFields.map((field) => `  std::int64_t ${field};`),
    '};',
    `inline constexpr int step_offset_count = ${layoutFields.length};`,
    '',
    '}  // namespace cortex',
    '',
  ];
  return lines.join('\n');
}
