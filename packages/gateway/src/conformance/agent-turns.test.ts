import { readFileSync } from 'node:fs';
import test from 'ava';
import { bytesOf, chunksOf, type NeuronAnswer, usageOf } from '../testing/neuron-answer.js';
import { runGateway } from '../testing/running-gateway.js';
import { type AgentTurn, agents } from './agents.js';
import { readAsZed } from './strict-zed.js';

/** What a neuron is told of a conversation, whichever way it is spelled. */
interface Told {
  readonly role: string;
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly { readonly name: string; readonly input: unknown }[];
  /** Which of the calls so far this is the result of. */
  readonly resultOf: number | undefined;
}

interface ChatMessage {
  readonly role: string;
  readonly content?: string | readonly { readonly type: string; readonly text?: string }[] | null;
  readonly reasoning_content?: string | null;
  readonly tool_calls?:
    | readonly { readonly id: string; readonly function: { name: string; arguments: string } }[]
    | null;
  readonly tool_call_id?: string;
}

const toldOf = (body: Buffer): Told[] => {
  const { messages } = JSON.parse(body.toString()) as { messages: readonly ChatMessage[] };
  const ids: string[] = [];
  return messages.map(({ role, content, reasoning_content: reasoning, tool_calls: calls, tool_call_id: id }) => {
    ids.push(...(calls ?? []).map((call) => call.id));
    return {
      role,
      text: typeof content === 'string' ? content : (content ?? []).map(({ text }) => text ?? '').join(''),
      reasoning: reasoning ?? '',
      calls: (calls ?? []).map(({ function: { name, arguments: input } }) => ({
        name,
        input: JSON.parse(input) as unknown,
      })),
      resultOf: id === undefined ? undefined : ids.indexOf(id),
    };
  });
};

const conversation = JSON.parse(
  readFileSync(new URL('../../fixtures/agent-conversation.json', import.meta.url), 'utf8'),
) as { readonly turns: readonly { readonly stream: string }[] };
const recorded = (turn: number): Buffer => Buffer.from(conversation.turns[turn]?.stream ?? '');

/** The recording has neither thoughts nor several calls at once. */
const thoughtful: NeuronAnswer = {
  reasoning: ['Two files, ', 'in “parallel”\n'],
  text: ['Let me look. '],
  calls: [
    { id: 'call_a', name: 'read_file', arguments: ['{"path":', '"a\\n\\"ü"}'] },
    { id: 'call_b', name: 'read_file', arguments: ['{"path": "b"}'] },
  ],
  finish: 'stop',
  stopString: null,
  usage: usageOf(30, 20, 10, 8),
};

const system = '  You are an agent.\n\nRules:\t“none”. \n';
const script: readonly { readonly turn: AgentTurn; readonly answer: Buffer }[] = [
  { turn: { user: 'What is the weather in Paris?' }, answer: recorded(0) },
  { turn: { results: ['18 degrees, sunny'] }, answer: recorded(1) },
  { turn: { user: 'Read both files, please. 👋' }, answer: bytesOf(chunksOf(thoughtful)) },
  { turn: { results: ['first\n', '{"second": [1, 2]}'] }, answer: recorded(2) },
  { turn: { user: 'What is cortex?' }, answer: recorded(4) },
];

const plain = { reasoning: '', calls: [], resultOf: undefined };

/** What each request of the script has to tell the neuron: all before it, as it was said. */
const expectedOf = (upTo: number): Told[] => {
  const told: Told[] = [{ ...plain, role: 'system', text: system }];
  let result = 0;
  for (const [at, { turn, answer }] of script.slice(0, upTo + 1).entries()) {
    if ('user' in turn) told.push({ ...plain, role: 'user', text: turn.user });
    else for (const text of turn.results) told.push({ ...plain, role: 'tool', text, resultOf: result++ });
    if (at === upTo) break;
    const { text, reasoning, calls } = readAsZed([answer]);
    told.push({
      role: 'assistant',
      text,
      reasoning,
      calls: calls.map(({ name, input }) => ({ name, input })),
      resultOf: undefined,
    });
  }
  return told;
};

for (const [name, agent] of Object.entries(agents)) {
  test(`conformance of ${name}: an agent's next request tells the neuron just what was said before`, async (t) => {
    t.timeout(120_000);
    const answers = script.map(({ answer }) => answer);
    const { gateway, neurons } = await runGateway(t, {
      a: {
        models: [{ id: 'm', status: 'loaded', tool_call: true, reasoning: true }],
        answer: () => ({ steps: [{ raw: answers.shift() ?? '' }, { stop: true }] }),
      },
    });
    const say = agent({ url: gateway.url, model: 'm', system, tools: ['get_weather', 'read_file'] });
    for (const [at, { turn }] of script.entries()) {
      await say(turn);
      const request = neurons['a']?.requests[at];
      t.deepEqual(toldOf(request?.body ?? Buffer.alloc(0)), expectedOf(at), `request ${at} of ${name}`);
    }
  });
}
