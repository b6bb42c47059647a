import { CortexError } from '@helexa/core';
import { rootOf } from '../graph-writer.js';
import type { OpDefinition } from '../op.js';
import { type OpName, type OpSignature, opcodes } from '../opcodes.js';
import type { Graph, Node, Value } from '../value.js';

/** What every graph satisfies, before and after each pass. Throws `graph_invalid` with the node that does not. */
export function verify(graph: Graph, definitions: Readonly<Record<OpName, OpDefinition>>): void {
  const defined = new Set<Value>();
  const used = new Set<Value>();
  for (const node of graph.nodes) {
    const signature = (opcodes as Readonly<Record<string, OpSignature>>)[node.op];
    if (!signature) refuse(node, `there is no op '${node.op}'`);
    verifyOperands(node, signature);
    for (const input of node.inputs) {
      if (!defined.has(rootOf(input))) refuse(node, `'${input.name}' is read before it is made`);
      verifyView(node, input);
      used.add(rootOf(input));
    }
    verifyShapes(node, signature, definitions[node.op as OpName]);
    for (const output of node.outputs) defined.add(output);
  }
  for (const node of graph.nodes) {
    const signature = opcodes[node.op as OpName];
    if (signature.outputs.length > 0 && !node.outputs.some((output) => used.has(output)))
      refuse(node, 'nothing reads its output');
  }
}

function verifyOperands(node: Node, signature: OpSignature): void {
  const within = (what: string, count: number, roles: readonly string[]): void => {
    const required = roles.filter((role) => !role.endsWith('?')).length;
    if (count < required || count > roles.length)
      refuse(node, `op '${node.op}' has ${count} ${what}; it takes ${required} to ${roles.length}`);
  };
  within('inputs', node.inputs.length, signature.inputs);
  within('outputs', node.outputs.length, signature.outputs);
  const roles = new Map(signature.weights.map((role) => [role.replace(/\?|\.\.\./u, ''), role]));
  for (const [role, weight] of Object.entries(node.weights)) {
    if (weight === undefined) continue;
    const spelled = roles.get(role);
    if (spelled === undefined) refuse(node, `op '${node.op}' takes no weight '${role}'`);
    const most = spelled.endsWith('...') ? 4 : 1;
    if (new Set(weight.segments.map((segment) => segment.tensor)).size > most)
      refuse(node, `weight '${weight.slot}' has more than ${most} tensors`);
  }
  for (const [role, spelled] of roles)
    if (!spelled.endsWith('?') && node.weights[role] === undefined) refuse(node, `its weight '${role}' is missing`);
  for (const [name, type] of signature.params) {
    const value = node.attributes[name];
    if (value === undefined || Number.isNaN(value)) refuse(node, `its attribute '${name}' is missing`);
    if (type === 'i32' && !Number.isInteger(value)) refuse(node, `its attribute '${name}' is ${value}, not an integer`);
  }
}

function verifyView(node: Node, value: Value): void {
  if (!value.view) return;
  const columns = value.view.of.segments[value.view.index];
  if (columns !== value.segments[0] || value.rows !== value.view.of.rows)
    refuse(node, `'${value.name}' is not segment ${value.view.index} of '${value.view.of.name}'`);
}

function verifyShapes(node: Node, signature: OpSignature, definition: OpDefinition): void {
  const plain = signature.inputs.filter((role) => role !== quantised).length;
  const shapes = definition.shape({
    name: node.name,
    inputs: node.inputs.slice(0, plain),
    weights: node.weights,
    attributes: node.attributes,
  });
  for (const [index, shape] of shapes.entries()) {
    const output = node.outputs[index];
    const columns = output?.segments.join('+');
    if (output?.rows !== shape.rows || columns !== shape.segments.join('+'))
      refuse(node, `its output ${index} is ${columns} columns; its op makes ${shape.segments.join('+')}`);
  }
}

const quantised = 'quantised?';

function refuse(node: Node, reason: string): never {
  throw new CortexError('graph_invalid', { node: node.name, reason });
}
