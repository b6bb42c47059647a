import { durationInWords } from './table.js';

/** What `POST /fleet/plan` answers. */
export interface FleetPlan {
  readonly model: string;
  readonly action: 'serve' | 'load' | 'attach' | 'wait' | 'refuse';
  readonly node: string | null;
  readonly ready_on: readonly string[];
  readonly evicts: readonly string[];
  readonly behind: readonly string[];
  readonly expected_ms: number | null;
  readonly why: string;
  /** What the request would be answered with; null unless it would be refused. */
  readonly refusal: {
    readonly status: number;
    readonly code: string | null;
    readonly message: string;
    readonly suggestion?: string;
    readonly retry_after: number | null;
  } | null;
}

const verdicts: Readonly<Record<FleetPlan['action'], string>> = {
  serve: 'ready',
  load: 'would be loaded',
  attach: 'is being loaded',
  wait: 'would have to wait',
  refuse: 'cannot be had',
};

/** A plan as lines for people: what would happen and where, then what it costs others, how long it takes and why. */
export function planInWords(plan: FleetPlan): readonly string[] {
  const { model, action, node, ready_on: readyOn, evicts, behind, expected_ms: ms, why, refusal } = plan;
  const place = node === null ? '' : ` on ${node}`;
  const also = readyOn.filter((name) => name !== node);
  const rows: readonly (readonly [string, string])[] = [
    ['ready on', action === 'serve' && also.length > 0 ? readyOn.join(', ') : ''],
    ['leaves', evicts.join(', ')],
    ['behind', behind.join(', ')],
    ['ready in', ms === null || action === 'serve' ? '' : `about ${durationInWords(ms / 1000)}`],
    ['why', refusal === null ? why : refusal.message],
    ['help', refusal?.suggestion ?? ''],
    ['answer', refusal === null ? '' : `${refusal.status} ${refusal.code ?? ''}`.trim()],
    ['again in', typeof refusal?.retry_after === 'number' ? durationInWords(refusal.retry_after) : ''],
  ];
  const shown = rows.filter(([, text]) => text !== '').map(([name, text]) => `  ${name.padEnd(8)}  ${text}`);
  return [`${model}: ${verdicts[action]}${place}`, ...shown];
}
