import { type Checkpoint, CortexError, type QuantFormat, type WeightFormat } from '@helexa/core';
import type { Architecture, ModelFacts, VisionTower } from './architecture.js';
import type { Backend, KvFormat } from './backend.js';
import { checkParts, takePart } from './bind-weights.js';
import { listCheckpointTensors, paperCheckpoint } from './checkpoint-tensors.js';
import { GraphBuilder } from './graph-builder.js';
import { tableWithoutHead, withoutHead } from './headless.js';
import { type MemoryPlan, planBytes } from './memory-plan.js';
import type { OpName } from './opcodes.js';
import { ops } from './ops/index.js';
import { fuse } from './passes/fuse.js';
import { lower } from './passes/lower.js';
import { planMemory, verifyPlan } from './passes/plan-memory.js';
import { shardGraph } from './passes/shard.js';
import { verify } from './passes/verify.js';
import type { Program } from './program.js';
import { type ResolvedWeights, resolveWeights } from './resolve-weights.js';
import { rowRuns } from './shard.js';
import type { StepLimits } from './step.js';
import type { Graph, Weight } from './value.js';
import type { Fill, WeightsTable } from './weights.js';

/** What the compiler asks of a backend. */
export type CompileTarget = Pick<Backend, 'name' | 'ops' | 'fusions' | 'weightFormats' | 'quantisedRowBytes'>;

export interface CompileOptions {
  readonly architecture: Architecture;
  /** Parsed by the architecture. */
  readonly config: unknown;
  readonly checkpoint: Checkpoint;
  readonly ranks: number;
  readonly backend: CompileTarget;
  readonly limits: StepLimits;
  /** Matrices of floats become this as they are loaded; absent: they stay as they are. */
  readonly quant?: QuantFormat | undefined;
  /** How keys and values are kept, for the memory plan; F16 when absent. */
  readonly kvFormat?: KvFormat;
  /** What a step gives for each sampled row: a token, or the row that the head would have read, where logits are exposed. */
  readonly answers?: 'tokens' | 'rows';
}

export interface Compiled {
  /** One per rank. */
  readonly programs: readonly Program[];
  /** Per rank, parallel to the tensors of its program. */
  readonly fills: readonly (readonly Fill[])[];
  readonly facts: ModelFacts;
  readonly plan: MemoryPlan;
}

/** Compiles one model for its ranks: table and graph in, programs and what fills their tensors out. Nothing is read. */
export function compile(options: CompileOptions): Compiled {
  const { architecture, config, checkpoint, ranks, backend, limits, kvFormat = 'F16', answers = 'tokens' } = options;
  const facts = architecture.facts(config);
  if (limits.vocab !== facts.vocab)
    throw new CortexError('graph_invalid', {
      node: 'sample',
      reason: `the step buffers are made for a vocabulary of ${limits.vocab}; the model has ${facts.vocab}`,
    });
  const tower = limits.vision ? towerOf(architecture, config) : null;
  const whole = tableOf(architecture, config, checkpoint.kind, tower);
  const headless = answers === 'rows' ? takeHeadOff(whole, options, facts, tower) : null;
  const table = headless ? headless.table : whole;
  const resolved = resolveWeights(table, checkpoint, backend.weightFormats, options.quant ?? null);
  checkParts(resolved, ranks);
  const graph = buildGraph(architecture, config, resolved, tower, headless?.weight ?? null);
  const parts = Array.from({ length: ranks }, (_, rank) => compileRank(graph, resolved, options, rank, facts));
  const programs = parts.map((part) => part.program);
  return { programs, fills: parts.map((part) => part.fills), facts, plan: planBytes(programs, limits, kvFormat) };
}

/** Compiles a model that has no checkpoint: formats are given by slot. For estimates, program diffs and random models. */
export function compileFromConfig(
  options: Omit<CompileOptions, 'checkpoint'> & {
    readonly kind?: Checkpoint['kind'];
    readonly format: (slot: string) => WeightFormat;
  },
): Compiled {
  const { kind = 'safetensors', format } = options;
  const { architecture, config, limits } = options;
  const tower = limits.vision ? towerOf(architecture, config) : null;
  const checkpoint = paperCheckpoint(tableOf(architecture, config, kind, tower), { kind, format });
  return compile({ ...options, checkpoint });
}

/** The tower of a model that can see. */
function towerOf(architecture: Architecture, config: unknown): VisionTower {
  const tower = architecture.vision?.(config);
  if (tower) return tower;
  throw new CortexError('graph_invalid', {
    node: 'vision',
    reason: 'the limits allow images; the model has no vision tower',
  });
}

/** The table of the text model with that of its tower; a tower that is not compiled leaves its tensors unread. */
function tableOf(
  architecture: Architecture,
  config: unknown,
  kind: Checkpoint['kind'],
  tower: VisionTower | null,
): WeightsTable {
  const table = architecture.weights(config);
  if (tower)
    return { rows: [...tower.weights.rows, ...table.rows], ignored: [...tower.weights.ignored, ...table.ignored] };
  const unread = architecture.vision?.(config)?.weights;
  if (!unread) return table;
  const names = listCheckpointTensors(unread, kind).map(({ name }) => name);
  return { rows: table.rows, ignored: [...table.ignored, ...unread.ignored, ...names] };
}

/** What the head of a model is, found in the graph of a model on paper: the checkpoint may not have one. */
function takeHeadOff(
  whole: WeightsTable,
  { architecture, config, checkpoint: { kind }, limits, backend }: CompileOptions,
  facts: ModelFacts,
  tower: VisionTower | null,
): { readonly table: WeightsTable; readonly weight: Weight } {
  const room = limits.exposeLogits ? limits.vocab : 0;
  if (facts.hidden > room)
    throw new CortexError('graph_invalid', {
      node: 'exposeRows',
      reason: `rows of ${facts.hidden} are exposed; the step buffers have room for ${room}`,
    });
  const paper = resolveWeights(whole, paperCheckpoint(whole, { kind, format: () => 'F32' }), backend.weightFormats);
  const { head } = withoutHead(buildGraph(architecture, config, paper, tower));
  return { table: tableWithoutHead(whole, head, kind), weight: paper.slots.get(head)!.weight };
}

/**
 * The forward graph in global dimensions, verified: the vision tower first, whose features the text model embeds. With a head
 * that is not there, the graph ends before it.
 */
export function buildGraph(
  architecture: Architecture,
  config: unknown,
  resolved: ResolvedWeights,
  tower: VisionTower | null = null,
  absentHead: Weight | null = null,
): Graph {
  const weights = new Map([...resolved.slots].map(([slot, { weight }]) => [slot, weight]));
  const builder = new GraphBuilder(absentHead ? new Map([...weights, [absentHead.slot, absentHead]]) : weights, ops);
  tower?.forward(builder);
  architecture.forward(builder, config);
  const graph = absentHead ? withoutHead(builder.build()).graph : builder.build();
  verify(graph, ops);
  const read = new Set(graph.nodes.flatMap((node) => Object.values(node.weights).map((weight) => weight?.slot)));
  const idle = [...weights.keys()].find((slot) => !read.has(slot));
  if (idle !== undefined)
    throw new CortexError('graph_invalid', { node: idle, reason: 'no node of the forward graph reads this weight' });
  return graph;
}

function compileRank(
  graph: Graph,
  resolved: ResolvedWeights,
  options: CompileOptions,
  rank: number,
  facts: ModelFacts,
): { program: Program; fills: readonly Fill[] } {
  const { ranks, backend, limits } = options;
  const part = { rank, ranks };
  const bound = takePart(resolved, part);
  const cuts = new Map(
    resolved.table.rows.flatMap((row) => (row.cut ? [[row.cut.cut.name, row.cut.cut] as const] : [])),
  );
  const rowStart = (slot: string): number => {
    const { row } = resolved.slots.get(slot)!;
    return rowRuns(row, row.segments[0]!, part)[0]!.start;
  };
  const sharded = shardGraph(graph, { ...part, definitions: ops, weights: bound.weights, rowStart, cuts });
  verify(sharded, ops);
  const formatOf = (tensor: number): WeightFormat => bound.tensors[tensor]!.format;
  const fused = fuse(sharded, { definitions: ops, backend, formatOf });
  verify(fused, ops);
  const missing = fused.nodes.find((node) => !backend.ops.has(node.op as OpName));
  if (missing) throw new CortexError('op_unsupported', { node: missing.name, op: missing.op, backend: backend.name });
  const plan = planMemory(fused, limits);
  verifyPlan(plan);
  const program = lower(fused, plan, { ...part, definitions: ops, tensors: bound.tensors, vocab: facts.vocab });
  return { program, fills: bound.fills };
}
