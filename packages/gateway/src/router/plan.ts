import type { CortexError } from '@helexa/core';
import { modelOn } from '../fleet/fleet.js';
import type { Ask, Decision, WaitReason } from './router.js';
import type { RouterView } from './view.js';

/** What a request would cause. */
export interface Plan {
  /** `attach` waits for a load that is under way, `wait` until there can be one. */
  readonly action: 'serve' | 'load' | 'attach' | 'wait' | 'refuse';
  /** Where it would be answered; null when that is at several nodes, or nowhere. */
  readonly node: string | null;
  /** Nodes that have the model ready at this moment. */
  readonly readyOn: readonly string[];
  /** Models that would leave, first one first. */
  readonly evicts: readonly string[];
  /** Models that are loaded or freed before. */
  readonly behind: readonly string[];
  /** Until the model is ready, as learned from past loads; null when it never is. */
  readonly expectedMs: number | null;
  readonly why: string;
  /** What the request would be refused with; null unless it is. */
  readonly error: CortexError | null;
}

/** Why a request waits, after "because". */
export const whyText: Readonly<Record<WaitReason, string>> = {
  loading: 'it is still loading',
  node_loading: 'its neuron still loads or frees a model',
  busy: 'the models in its place are still in use',
  residency: 'the model in its place has only just come',
  claimed: 'another model is to be loaded first',
};

const blank = { node: null, evicts: [], behind: [], error: null };

const planOf = (decision: Decision): Omit<Plan, 'readyOn' | 'expectedMs'> => {
  switch (decision.kind) {
    case 'serve':
      return { ...blank, action: 'serve', node: decision.node.name, why: 'the model is loaded there' };
    case 'load': {
      const { node, victims } = decision;
      const why = victims.length === 0 ? 'there is room' : 'models that are idle leave for it';
      return { ...blank, action: 'load', node: node.name, evicts: victims, why };
    }
    case 'claim':
      return { ...blank, action: 'wait', node: decision.node.name, evicts: decision.victims, why: whyText.busy };
    case 'wait': {
      const { why, node = null, behind } = decision;
      if (why === 'loading') return { ...blank, action: 'attach', node, why: whyText.loading };
      const isInTheWay = why === 'busy' || why === 'residency';
      const [evicts, before] = isInTheWay ? [behind, []] : [[], behind];
      return { ...blank, action: 'wait', node, evicts, behind: before, why: whyText[why] };
    }
    case 'refuse':
      return { ...blank, action: 'refuse', why: decision.error.message, error: decision.error };
  }
};

/** What a decision comes to, in words that an operator can use. */
export const describePlan = (view: RouterView, { model }: Ask, decision: Decision, expectedMs: number | null): Plan => {
  const ready = view.fleet.filter((node) => node.healthy && modelOn(node, model)?.status === 'loaded');
  return { ...planOf(decision), readyOn: ready.map(({ name }) => name), expectedMs };
};
