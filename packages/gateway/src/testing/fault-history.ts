import { seededRandom } from '@helexa/core/testing';
import type { LoadMishap, LookMishap, Mishap, UnloadMishap } from './memory-fleet.js';
import { neuronNames } from './memory-gateway.js';

/** A whole number below what is asked for at each call, the same ones for the same seed. */
const randomOf = (seed: number): ((below: number) => number) => {
  const next = seededRandom(seed);
  return (below) => Math.floor(next() * below);
};

export type AskedDialect = 'chat' | 'messages' | 'responses' | 'count';

/** One request of a client; other acts name it by its id. */
export interface AskAct {
  readonly kind: 'ask';
  readonly id: number;
  readonly gateway: number;
  readonly dialect: AskedDialect;
  readonly model: string;
  readonly tokens: number;
  readonly stream: boolean;
  readonly session: number;
  readonly key: string | undefined;
  /** Its body comes with the act `send`. */
  readonly isSlow: boolean;
}

/** What happens in the world: one value, so that a history can be printed, played again and made smaller. */
export type Act =
  | AskAct
  | { readonly kind: 'leave' | 'stall' | 'read' | 'send'; readonly id: number }
  | { readonly kind: 'answer'; readonly node: string; readonly mishap: Mishap }
  | { readonly kind: 'load'; readonly node: string; readonly mishap: LoadMishap }
  | { readonly kind: 'unload'; readonly node: string; readonly mishap: UnloadMishap }
  | { readonly kind: 'look'; readonly node: string; readonly mishap: LookMishap }
  | { readonly kind: 'crash' | 'restart' | 'freeze' | 'revive'; readonly node: string }
  | {
      readonly kind: 'others';
      readonly node: string;
      readonly model: string;
      readonly what: 'load' | 'unload' | 'ask' | 'end';
    }
  | { readonly kind: 'needs'; readonly node: string; readonly model: string; readonly mb: number }
  | { readonly kind: 'boasts'; readonly node: string; readonly mb: number }
  | {
      readonly kind: 'network';
      readonly gateway: number;
      readonly node: string;
      readonly what: 'partition' | 'mute' | 'dns' | 'files' | 'lossy' | 'heal';
    }
  | {
      readonly kind: 'catalogue' | 'broken_catalogue' | 'keys' | 'ledger' | 'scrape' | 'plan' | 'close';
      readonly gateway: number;
    }
  | { readonly kind: 'clock'; readonly byMs: number }
  | { readonly kind: 'late'; readonly forMs: number };

export interface Step {
  readonly act: Act;
  /** Time that passes afterwards. */
  readonly thenMs: number;
}

/** Everything that happens to a fleet and its gateways, from the beginning to the end. */
export interface History {
  /** Models that every neuron has at the beginning. */
  readonly loaded: readonly string[];
  readonly gateways: number;
  /** The gateways close while requests may be open. */
  readonly isShutDown: boolean;
  readonly steps: readonly Step[];
}

type Random = (below: number) => number;

const one = <Value>(random: Random, values: readonly Value[]): Value => values[random(values.length)] as Value;

const models = ['m', 'n', 'o'] as const;

const mishapOf = (random: Random): Mishap => {
  const after = random(5);
  return one<Mishap>(random, [
    { kind: 'status', status: 500 },
    { kind: 'status', status: 503 },
    { kind: 'status', status: 429 },
    { kind: 'status', status: 400 },
    { kind: 'reset' },
    { kind: 'hang' },
    { kind: 'slow' },
    { kind: 'false' },
    { kind: 'cut', after },
    { kind: 'cut', after },
    { kind: 'stop', after },
    { kind: 'torn', after },
    { kind: 'error', after },
    { kind: 'silent', after },
    { kind: 'broken', after },
  ]);
};

const askOf = (random: Random, id: number, gateway: number): AskAct => {
  const dialect = one<AskedDialect>(random, [
    'chat',
    'chat',
    'chat',
    'chat',
    'messages',
    'messages',
    'responses',
    'count',
  ]);
  return {
    kind: 'ask',
    id,
    gateway,
    dialect,
    model: one(random, models),
    tokens: 1 + random(6),
    stream: dialect !== 'count' && random(4) > 0,
    session: random(3),
    key: one(random, [undefined, undefined, 'sk-someone-1', 'sk-capped-01', 'sk-nobody-01']),
    isSlow: random(12) === 0,
  };
};

/** How often each kind of act occurs, and one of it at random; of what has to hurt a gateway there is more. */
const kinds: readonly (readonly [weight: number, make: (random: Random, gateways: number, asked: number) => Act])[] = [
  [36, (random, gateways, asked) => askOf(random, asked, random(gateways))],
  [4, (random, _, asked) => ({ kind: 'leave', id: random(Math.max(1, asked)) })],
  [2, (random, _, asked) => ({ kind: 'stall', id: random(Math.max(1, asked)) })],
  [2, (random, _, asked) => ({ kind: 'read', id: random(Math.max(1, asked)) })],
  [3, (random, _, asked) => ({ kind: 'send', id: random(Math.max(1, asked)) })],
  [14, (random) => ({ kind: 'answer', node: one(random, neuronNames), mishap: mishapOf(random) })],
  [
    5,
    (random) => {
      const all = ['out_of_memory', 'fail', 'refuse', 'hang', 'slow', 'lost', 'vanish'] as const;
      return { kind: 'load', node: one(random, neuronNames), mishap: one(random, all) };
    },
  ],
  [
    2,
    (random) => ({
      kind: 'unload',
      node: one(random, neuronNames),
      mishap: one(random, ['hang', 'busy', 'fail', 'slow'] as const),
    }),
  ],
  [
    3,
    (random) => ({
      kind: 'look',
      node: one(random, neuronNames),
      mishap: one(random, ['garbage', 'other_shape', 'status'] as const),
    }),
  ],
  [
    8,
    (random) => ({
      kind: one(random, ['crash', 'restart', 'freeze', 'revive', 'revive'] as const),
      node: one(random, neuronNames),
    }),
  ],
  [
    4,
    (random) => ({
      kind: 'others',
      node: one(random, neuronNames),
      model: one(random, models),
      what: one(random, ['load', 'unload', 'ask', 'end'] as const),
    }),
  ],
  [
    1,
    (random) => ({
      kind: 'needs',
      node: one(random, neuronNames),
      model: one(random, models),
      mb: one(random, [30, 120, 90]),
    }),
  ],
  [1, (random) => ({ kind: 'boasts', node: one(random, neuronNames), mb: one(random, [60, 0, -30]) })],
  [
    7,
    (random, gateways) => ({
      kind: 'network',
      gateway: random(gateways),
      node: one(random, neuronNames),
      what: one(random, ['partition', 'mute', 'dns', 'files', 'lossy', 'heal', 'heal', 'heal'] as const),
    }),
  ],
  [
    2,
    (random, gateways) => ({
      kind: one(random, ['catalogue', 'broken_catalogue'] as const),
      gateway: random(gateways),
    }),
  ],
  [
    3,
    (random, gateways) => ({
      kind: one(random, ['keys', 'ledger', 'ledger', 'scrape', 'plan', 'plan'] as const),
      gateway: random(gateways),
    }),
  ],
  [1, (random) => ({ kind: 'clock', byMs: one(random, [86_400_000, -86_400_000, 3000]) })],
  [1, () => ({ kind: 'late', forMs: 2000 })],
];

const totalWeight = kinds.reduce((sum, [weight]) => sum + weight, 0);

const actOf = (random: Random, gateways: number, asked: number): Act => {
  let at = random(totalWeight);
  for (const [weight, make] of kinds) {
    if (at < weight) return make(random, gateways, asked);
    at -= weight;
  }
  return { kind: 'late', forMs: 0 };
};

/** The history of a seed: always the same one. */
export const historyOf = (seed: number): History => {
  const random = randomOf(seed);
  const gateways = random(8) === 0 ? 2 : 1;
  const steps: Step[] = [];
  let asked = 0;
  const count = 5 + random(30);
  // Of two gateways one may go while the other stays.
  const closesAt = gateways === 2 && random(2) === 0 ? random(count) : -1;
  for (let index = 0; index < count; index++) {
    const act: Act = index === closesAt ? { kind: 'close', gateway: 0 } : actOf(random, gateways, asked);
    if (act.kind === 'ask') asked += 1;
    steps.push({ act, thenMs: one(random, [0, 10, 200, 700, 3000]) });
  }
  return { loaded: one(random, [[], ['m'], ['m', 'o'], ['n']]), gateways, isShutDown: random(4) === 0, steps };
};
