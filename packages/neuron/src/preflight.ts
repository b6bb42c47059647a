import { CortexError, type WeightFormat } from '@helexa/core';
import type { ArchitectureRegistry, Backend, KvFormat } from '@helexa/graph';
import type { RequestedLimits } from './model/limits.js';
import { planModel } from './model/loader.js';

export interface PreflightOptions {
  readonly path: string;
  readonly registry: ArchitectureRegistry;
  readonly backend: Backend;
  readonly ranks: number;
  readonly kvFormat?: KvFormat;
  readonly limits: RequestedLimits;
}

/** What one rank would take on its device. */
export interface PreflightRank {
  readonly device: number;
  readonly weightBytes: number;
  readonly kvBytes: number;
  readonly stateBytes: number;
  readonly activationBytes: number;
  readonly stepBytes: number;
  readonly totalBytes: number;
}

/** Whether a model can be loaded here and what it would need, from headers alone. */
export interface PreflightReport {
  readonly ok: boolean;
  readonly path: string;
  readonly backend: string;
  readonly architecture: string | null;
  readonly parameters: number;
  /** Parameters by the format they are stored in. */
  readonly formats: Readonly<Partial<Record<WeightFormat, number>>>;
  readonly ranks: readonly PreflightRank[];
  readonly kvBytesPerToken: number;
  /** Longest context of the model, and the longest that fits here. */
  readonly modelContext: number;
  readonly context: number;
  readonly sequences: number;
  readonly availableBytes: number;
  readonly notes: readonly string[];
  /** Why it would be refused at load, in the same words. */
  readonly refusals: readonly { readonly code: string; readonly message: string; readonly suggestion?: string }[];
}

/** Compiles a model for its devices and adds up what it needs; a refusal is part of the report, not an error. */
export async function preflight(options: PreflightOptions): Promise<PreflightReport> {
  const { path, backend } = options;
  try {
    const { architecture, checkpoint, compiled, decided, devices, availableBytes } = await planModel(options);
    const formats: Partial<Record<WeightFormat, number>> = {};
    for (const { format, shape } of checkpoint.tensors.values()) {
      const known = format as WeightFormat;
      formats[known] = (formats[known] ?? 0) + shape.reduce((product, length) => product * length, 1);
    }
    const { limits, notes } = decided;
    return {
      ok: true,
      path,
      backend: backend.name,
      architecture: architecture.name,
      parameters: Object.values(formats).reduce((sum, count) => sum + count, 0),
      formats,
      ranks: compiled.plan.ranks.map((rank, index) => ({
        device: devices[index]!,
        weightBytes: rank.weightBytes,
        kvBytes: rank.kvBytes,
        stateBytes: rank.stateBytes,
        activationBytes: rank.activationBytes,
        stepBytes: rank.stepBytes,
        totalBytes: rank.totalBytes,
      })),
      kvBytesPerToken: compiled.plan.ranks.reduce((sum, rank) => sum + rank.kvBytesPerToken, 0),
      modelContext: compiled.facts.maxContext,
      context: limits.maxContext,
      sequences: limits.maxSequences,
      availableBytes,
      notes,
      refusals: [],
    };
  } catch (error) {
    if (!CortexError.isInstance(error) || error.code === 'internal_error') throw error;
    const { code, message, suggestion } = error;
    return {
      ok: false,
      path,
      backend: backend.name,
      architecture: null,
      parameters: 0,
      formats: {},
      ranks: [],
      kvBytesPerToken: 0,
      modelContext: 0,
      context: 0,
      sequences: 0,
      availableBytes: 0,
      notes: [],
      refusals: [{ code, message, ...(suggestion ? { suggestion } : {}) }],
    };
  }
}
