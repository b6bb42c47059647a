import type { GatewayConfig } from '@helexa/core';
import type { AskAct, AskedDialect, History, Step } from './fault-history.js';
import { problemsOfAnthropic } from './legal-anthropic.js';
import { problemsOfResponses } from './legal-responses.js';
import type { MemoryClient } from './memory-client.js';
import { expectedStream, expectedText, type MemoryNeuron } from './memory-fleet.js';
import { createMemoryWorld, type MemoryGateway, memoryConfig, startMemoryGateway } from './memory-gateway.js';

interface Asked {
  readonly client: MemoryClient;
  readonly act: AskAct;
  hasLeft: boolean;
  /** It does not read: when its gateway goes, no word of that can reach it. */
  isStalled: boolean;
}

/** What a history came to. */
export interface HistoryReport {
  /** What must not have happened; empty when all was well. */
  readonly problems: readonly string[];
  readonly requests: number;
  readonly served: number;
  readonly resumed: number;
  /** Loads that a neuron had no room for, for reasons that no gateway could know. */
  readonly overcommitted: number;
}

interface Playing {
  readonly gateways: readonly MemoryGateway[];
  readonly neurons: ReadonlyMap<string, MemoryNeuron>;
  readonly asked: Map<number, Asked>;
  readonly closing: Set<number>;
  readonly closed: Set<number>;
  readonly watched: { readonly what: string; readonly client: MemoryClient }[];
  readonly problems: string[];
}

const paths: Readonly<Record<AskedDialect, string>> = {
  chat: '/v1/chat/completions',
  messages: '/v1/messages',
  responses: '/v1/responses',
  count: '/v1/messages/count_tokens',
};

const bodyOf = ({ dialect, model, tokens, stream }: AskAct): object => {
  const content = `count ${tokens}`;
  if (dialect === 'responses') return { model, stream, input: content };
  const messages = [{ role: 'user', content }];
  if (dialect === 'count') return { model, messages };
  return { model, stream, messages, max_tokens: 50 };
};

const adminKey = 'sk-admin-001';
const keys = [
  { key: adminKey, account_id: 'root', admin: true },
  { key: 'sk-someone-1', account_id: 'acme' },
  { key: 'sk-capped-01', account_id: 'small', hard_cap: 400, window: { kind: 'rolling', seconds: 30 } },
];
/** From one reload to the next: all keys, then one fewer and none without a key. */
const configs = [{ keys }, { require_auth: true, keys: keys.slice(0, 2) }].map((entitlements) =>
  memoryConfig({ entitlements, gateway: { poll_interval_ms: 3000 } }),
) as [GatewayConfig, GatewayConfig];

const withoutComments = (text: string): string => text.replace(/^:[^\n]*\n\n/gm, '');

const eventsIn = (text: string): Record<string, unknown>[] =>
  [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data as string) as Record<string, unknown>);

/** What is wrong with a stream of typed events; `textOf` reads the text of one of them, `isFault` tells an error. */
const wrongWithTyped = (
  expected: string,
  events: readonly Record<string, unknown>[],
  illegal: readonly string[],
  textOf: (event: Record<string, unknown>) => string,
  isFault: (event: Record<string, unknown>) => boolean,
): string | undefined => {
  if (illegal.length > 0) return illegal.join('; ');
  const text = events.map(textOf).join('');
  const isRight = events.some(isFault) ? expected.startsWith(text) : text === expected;
  return isRight ? undefined : `wrong text '${text}'`;
};

const wrongWithChat = (model: string, tokens: number, body: string): string | undefined => {
  const text = withoutComments(body);
  const id = /"id":"([^"]*)"/.exec(text)?.[1] ?? '';
  const expected = expectedStream(model, tokens, id);
  if (text === expected) return undefined;
  const error = text.indexOf('data: {"error"');
  if (error < 0) return `wrong bytes, and no error: ${text}`;
  if (text.includes('[DONE]')) return 'an error and an end mark';
  return expected.startsWith(text.slice(0, error)) ? undefined : `wrong bytes before the error: ${text}`;
};

const wrongWithStream = ({ dialect, model, tokens }: AskAct, body: string): string | undefined => {
  if (dialect === 'chat') return wrongWithChat(model, tokens, body);
  const expected = expectedText(model, tokens);
  const events = eventsIn(body);
  if (dialect === 'messages') {
    const textOf = (event: Record<string, unknown>): string =>
      String((event['delta'] as { text?: string } | undefined)?.text ?? '');
    return wrongWithTyped(expected, events, problemsOfAnthropic(events), textOf, ({ type }) => type === 'error');
  }
  const textOf = (event: Record<string, unknown>): string =>
    event['type'] === 'response.output_text.delta' ? String(event['delta']) : '';
  const isFault = ({ type }: Record<string, unknown>): boolean => type === 'response.failed';
  return wrongWithTyped(expected, events, problemsOfResponses(events), textOf, isFault);
};

const textIn = (dialect: AskedDialect, body: unknown): unknown => {
  // Shapes differ by dialect; whatever is missing is a wrong text.
  const answer = body as {
    content?: [{ text: string }];
    choices?: [{ message: { content: string } }];
    output?: { content?: [{ text: string }] }[];
  };
  if (dialect === 'messages') return answer.content?.[0]?.text;
  if (dialect === 'responses') return answer.output?.find(({ content }) => content)?.content?.[0]?.text;
  return answer.choices?.[0]?.message.content;
};

/** What is wrong with the answer that a client got; undefined when it is right, or says that it is not. */
const wrongWith = (asked: Asked): string | undefined => {
  try {
    return wrongWithOutcome(asked);
  } catch (error) {
    return `it cannot be read (${String(error)}): ${asked.client.outcome.body}`;
  }
};

const wrongWithOutcome = ({ client, act, hasLeft, isStalled }: Asked): string | undefined => {
  const { status, body, isBroken, ends } = client.outcome;
  if (hasLeft) return ends > 1 ? `it ended ${ends} times` : undefined;
  if (!client.isOver) return 'it hangs';
  if (ends > 1) return `it ended ${ends} times`;
  if (isBroken && isStalled) return undefined;
  if (isBroken) return `its connection broke after '${body}'`;
  if (status >= 400) {
    const { error } = JSON.parse(body) as { error?: { code?: string; type?: string } };
    return error?.code || error?.type ? undefined : `status ${status} without an error`;
  }
  const { dialect, model, tokens } = act;
  if (act.stream) return wrongWithStream(act, body);
  const answer: unknown = JSON.parse(body);
  if (dialect === 'count')
    return (answer as { input_tokens?: number }).input_tokens === tokens ? undefined : `wrong count ${body}`;
  const text = textIn(dialect, answer);
  return text === expectedText(model, tokens) ? undefined : `wrong text '${String(text)}'`;
};

const ask = ({ gateways, asked }: Playing, act: AskAct): void => {
  const { id, gateway, dialect, session, key, isSlow } = act;
  const headers = { 'x-session-id': String(session), ...(key ? { authorization: `Bearer ${key}` } : {}) };
  const client = (gateways[gateway] as MemoryGateway).ask(paths[dialect], bodyOf(act), headers, isSlow);
  asked.set(id, { client, act, hasLeft: false, isStalled: false });
};

const act = async (playing: Playing, { act: each }: Step): Promise<void> => {
  const { gateways, neurons, asked, closing, closed, watched } = playing;
  const neuron = 'node' in each ? (neurons.get(each.node) as MemoryNeuron) : undefined;
  const gateway = 'gateway' in each ? (gateways[each.gateway] as MemoryGateway) : undefined;
  const one = 'id' in each ? asked.get(each.id) : undefined;
  const { clock } = gateways[0] as MemoryGateway;
  switch (each.kind) {
    case 'ask':
      return ask(playing, each);
    case 'leave':
      if (!one || one.client.isOver) return;
      one.hasLeft = true;
      return one.client.leave();
    case 'stall':
    case 'read':
      if (!one || one.client.isOver) return;
      one.isStalled = each.kind === 'stall';
      return one.isStalled ? one.client.stall() : one.client.read();
    case 'send':
      return one?.client.send();
    case 'answer':
      return void neuron?.mishaps.push(each.mishap);
    case 'load':
      return void neuron?.loadMishaps.push(each.mishap);
    case 'unload':
      return void neuron?.unloadMishaps.push(each.mishap);
    case 'look':
      return void neuron?.lookMishaps.push(each.mishap);
    case 'crash':
      return neuron?.crash();
    case 'restart':
      neuron?.crash();
      return neuron?.revive();
    case 'freeze':
      if (neuron?.state === 'up') neuron.state = 'frozen';
      return;
    case 'revive':
      return neuron?.revive();
    case 'others':
      if (each.what === 'load') neuron?.loadByOthers(each.model);
      else if (each.what === 'unload') neuron?.unloadByOthers(each.model);
      else if (each.what === 'end') neuron?.strangers.delete(each.model);
      else if (neuron?.models.get(each.model) === 'loaded') neuron.strangers.set(each.model, 1);
      return;
    case 'needs':
      return void (neuron?.models.has(each.model) || neuron?.ownSizes.set(each.model, each.mb));
    case 'boasts':
      if (neuron) neuron.boastMb = each.mb;
      return;
    case 'network': {
      const { network } = gateway as MemoryGateway;
      if (each.what === 'partition') network.partitioned.add(each.node);
      else if (each.what === 'mute') network.muted.add(each.node);
      else if (each.what === 'dns') network.failing.set(each.node, 'ENOTFOUND');
      else if (each.what === 'files') network.failing.set(each.node, 'EMFILE');
      else if (each.what === 'lossy') network.lossy.set(each.node, 400);
      else network.heal(each.node);
      return;
    }
    case 'catalogue':
      (gateway as MemoryGateway).state.isCatalogueBroken = false;
      return await gateway?.reload();
    case 'broken_catalogue':
      (gateway as MemoryGateway).state.isCatalogueBroken = true;
      return await gateway?.reload();
    case 'keys': {
      const { state, reloadSame } = gateway as MemoryGateway;
      state.config = state.config === configs[0] ? configs[1] : configs[0];
      return await reloadSame();
    }
    case 'ledger': {
      const { state } = gateway as MemoryGateway;
      state.isLedgerAway = !state.isLedgerAway;
      return;
    }
    case 'scrape':
      return void watched.push({ what: 'scrape', client: (gateway as MemoryGateway).scrape() });
    case 'plan':
      return void (gateway as MemoryGateway).ask(
        '/fleet/plan',
        { model: 'm' },
        { authorization: 'Bearer sk-someone-1' },
      );
    case 'close':
      closing.add(each.gateway);
      return void gateway?.gateway.close().then(() => closed.add(each.gateway));
    case 'clock':
      return clock.correct(each.byMs);
    case 'late':
      return await clock.stall(each.forMs);
  }
};

/** What must hold at every moment: what each gateway counts is what is there. */
const checkCounts = ({ gateways, asked, watched, problems, closed }: Playing, when: string): void => {
  for (const [index, { gateway, clock, network }] of gateways.entries()) {
    const { waiting, attempts, leased, open } = gateway.counts();
    const live = [...asked.values()].filter(
      ({ client, act: { gateway: at }, hasLeft }) => at === index && !client.isOver && !hasLeft,
    ).length;
    const complain = (what: string): void => void problems.push(`${when}, gateway ${index}: ${what}`);
    const pages = watched.filter(({ client }) => !client.isOver).length;
    if (open < live || open > live + pages) complain(`${open} requests are open, ${live} live`);
    if (leased !== attempts) complain(`${leased} places for ${attempts} attempts`);
    if (waiting + attempts > live) complain(`${waiting} wait and ${attempts} run of ${live}`);
    if (waiting > 0 && clock.pending === 0) complain('somebody waits for nothing');
    if (closed.has(index) && open > 0) complain('it has closed with requests open');
    for (const overcommit of network.overcommits.splice(0)) complain(`no room for a load of ${overcommit}`);
  }
};

/** No request may have been set aside for a key when nothing runs any more. */
const checkKeys = async ({ gateways, problems, closing }: Playing): Promise<void> => {
  for (const [index, memory] of gateways.entries()) {
    if (closing.has(index)) continue;
    const page = memory.ask('/admin/keys', undefined, { authorization: `Bearer ${adminKey}` });
    await memory.clock.advance(1);
    const { data } = JSON.parse(page.outcome.body) as { data?: { key_id: string; reserved: number; spent: number }[] };
    for (const { key_id: key, reserved, spent } of data ?? [{ key_id: 'none', reserved: 1, spent: 0 }]) {
      if (reserved !== 0 || spent < 0)
        problems.push(`gateway ${index}: ${reserved} tokens are set aside for '${key}', ${spent} spent`);
    }
  }
};

/** Plays a history against whole gateways; the same one always goes the same way. */
export const playHistory = async ({ loaded, gateways: count, isShutDown, steps }: History): Promise<HistoryReport> => {
  const world = createMemoryWorld(loaded);
  const { clock, neurons } = world;
  for (const neuron of neurons.values()) neuron.isShared = count > 1;
  const gateways: MemoryGateway[] = [];
  for (let index = 0; index < count; index++) {
    gateways.push(await startMemoryGateway([], { world, config: configs[0] }));
  }
  const playing: Playing = {
    gateways,
    neurons,
    asked: new Map(),
    closing: new Set(),
    closed: new Set(),
    watched: [],
    problems: [],
  };
  const { asked, closing, closed, problems, watched } = playing;
  for (const [index, step] of steps.entries()) {
    await act(playing, step);
    await clock.advance(step.thenMs);
    checkCounts(playing, `after step ${index}`);
  }
  // The world becomes sound again: nobody may hang after that.
  for (const { network, state } of gateways) {
    network.heal();
    state.isLedgerAway = false;
  }
  for (const neuron of neurons.values()) neuron.heal();
  for (const one of asked.values()) {
    if (one.client.isOver) continue;
    one.isStalled = false;
    one.client.read();
    one.client.send();
  }
  const close = (): void => {
    for (const [index, { gateway }] of gateways.entries()) {
      if (closing.has(index)) continue;
      closing.add(index);
      void gateway.close().then(() => closed.add(index));
    }
  };
  if (isShutDown) close();
  const isOver = (): boolean =>
    closed.size === closing.size && [...asked.values()].every(({ client, hasLeft }) => client.isOver || hasLeft);
  for (let round = 0; round < 200 && !isOver(); round++) await clock.advance(1000);
  await clock.advance(1500);
  for (const [id, each] of asked) {
    const wrong = wrongWith(each);
    if (wrong !== undefined) problems.push(`request ${id}: ${wrong}`);
  }
  for (const { what, client } of watched)
    if (client.outcome.status !== 200) problems.push(`${what}: ${client.outcome.status}`);
  checkCounts(playing, 'in the end');
  for (const { gateway } of gateways) {
    const end = gateway.counts();
    if (end.waiting + end.leased + end.attempts + end.open > 0) problems.push(`left over: ${JSON.stringify(end)}`);
  }
  for (const [name, { streams, evictedBusy }] of neurons) {
    if (streams.size > 0) problems.push(`neuron ${name} still answers ${streams.size} requests`);
    if (evictedBusy > 0) problems.push(`neuron ${name}: ${evictedBusy} busy models were to leave`);
  }
  await checkKeys(playing);
  close();
  for (let round = 0; round < 20 && closed.size < count; round++) await clock.advance(1000);
  if (closed.size < count) problems.push('a gateway does not close');
  const sum = (of: (neuron: MemoryNeuron) => number): number =>
    [...neurons.values()].reduce((all, neuron) => all + of(neuron), 0);
  return {
    problems,
    requests: asked.size,
    served: [...asked.values()].filter(({ client }) => client.outcome.status === 200).length,
    resumed: sum(({ resumed }) => resumed),
    overcommitted: sum(({ overcommitted }) => overcommitted),
  };
};
