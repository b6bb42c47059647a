import { setImmediate as turn } from 'node:timers/promises';
import { CortexError } from '@helexa/core';
import { type DeviceModel, header } from '@helexa/graph';
import test from 'ava';
import fc from 'fast-check';
import { fakeDevice, fakeLimits } from '../testing/fake-device.js';
import { collect, fakeEffects, fakeEngine, requestOf } from '../testing/fake-engine.js';

/** What a step is about to do, as its header says. */
interface StepView {
  readonly rows: number;
  readonly sequences: number;
  readonly sampled: number;
  readonly copies: number;
}

const stepKinds: Readonly<Record<string, (step: StepView) => boolean>> = {
  prefill: ({ sampled }) => sampled === 0,
  'end of a prefill': ({ rows, sampled }) => sampled > 0 && rows > sampled,
  decode: ({ rows, sequences, sampled }) => rows === sequences && sampled === rows,
  mixed: ({ rows, sequences, sampled }) => sequences > sampled && sampled > 0 && rows > sequences,
  snapshot: ({ copies }) => copies > 0,
};

const faults: Readonly<Record<string, () => Promise<never>>> = {
  rejects: async () => Promise.reject(new Error('the device fell off the bus')),
  throws: () => {
    throw new Error('the device fell off the bus');
  },
};

/** A device that goes wrong at the first step of a kind. */
function faultyDevice(isMeant: (step: StepView) => boolean, fault: () => Promise<never>) {
  const device = fakeDevice({ ...fakeLimits, snapshots: 4, pages: 40 });
  const int = new Int32Array(device.buffer);
  let failures = 0;
  const faulty: DeviceModel = {
    ...device,
    step: () => {
      const at = (word: number) => int[device.layout.header + word]!;
      const view = {
        rows: at(header.rows),
        sequences: at(header.sequences),
        sampled: at(header.sampled),
        copies: at(header.copies),
      };
      if (!isMeant(view)) return device.step();
      failures += 1;
      return fault();
    },
  };
  return { device: faulty, failures: () => failures };
}

const promptOf = (length: number, seed: number) => Array.from({ length }, (_, index) => (index * 17 + seed) % 900);

for (const [kind, isMeant] of Object.entries(stepKinds)) {
  for (const [manner, fault] of Object.entries(faults)) {
    test(`Engine ends everything with a typed error and holds nothing after a step fails: ${kind}, ${manner}`, async (t) => {
      const { device, failures } = faultyDevice(isMeant, fault);
      const reported: string[] = [];
      const effects = fakeEffects({ onFailed: (error) => reported.push(error.code) });
      const engine = fakeEngine({ device, effects });
      const outcomes = [];
      // More than there are seats, of all lengths, arriving while others run.
      for (const [index, length] of [300, 5, 140, 5, 200, 3, 9].entries()) {
        const request = requestOf(promptOf(length, index % 3), { maxTokens: 20, principal: `p${index % 2}` });
        const answer = (async () => collect(engine.generate(request)))();
        outcomes.push(
          answer.then(
            () => 'served',
            (error: CortexError) => error.code,
          ),
        );
        for (let count = 0; count <= index; count++) await turn();
      }
      const codes = await Promise.all(outcomes);
      t.is(failures(), 1, 'the kind of step came up, and none after it');
      t.true(codes.includes('device_failed'));
      t.true(codes.every((code) => code === 'device_failed' || code === 'served'));
      t.deepEqual(reported, ['device_failed']);
      t.like(engine.load, { running: 0, waiting: 0 });
      t.like(engine.load.pages, { used: 0, reserved: 0 });
      t.throws(() => engine.generate(requestOf([1])), { code: 'device_failed' });
      await engine.close();
    });
  }
}

test('Engine ends only the requests whose sampled rows are bad, and gives their pages and seats to the others', async (t) => {
  const device = fakeDevice(fakeLimits, { token: (tokens, counter) => (tokens[0] === 13 && counter === 2 ? -1 : 7) });
  const engine = fakeEngine({ device });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 12 }, (_, index) => collect(engine.generate(requestOf([index % 3 === 0 ? 13 : 12, index])))),
  );
  t.deepEqual(
    outcomes.map((outcome) => (outcome.status === 'rejected' ? (outcome.reason as CortexError).code : 'served')),
    Array.from({ length: 12 }, (_, index) => (index % 3 === 0 ? 'logits_unhealthy' : 'served')),
  );
  await engine.idle();
  t.like(engine.load.pages, { used: 0, reserved: 0 });
  await engine.close();
});

test('Engine frees what a client held by the next step, in whichever phase it leaves', async (t) => {
  const one = fc.record({
    length: fc.integer({ min: 1, max: 300 }),
    maxTokens: fc.integer({ min: 1, max: 30 }),
    choices: fc.integer({ min: 1, max: 3 }),
    principal: fc.constantFrom('a', 'b', null),
    delay: fc.nat(10),
    /** Steps after which it is aborted; and events after which it reads no more, for ever or never. */
    abortAfterSteps: fc.option(fc.nat(30), { freq: 2 }),
    stopsReadingAfter: fc.option(fc.nat(20), { freq: 3 }),
  });
  const phases = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(one, { minLength: 1, maxLength: 8 }), async (clients) => {
      const base = fakeDevice({ ...fakeLimits, maxSequences: 3, maxSampled: 3, pages: 20 });
      const live = new Map<number, { aborted: boolean; choices: number; phase: string }>();
      let steps = 0;
      let wrong = '';
      const device: DeviceModel = {
        ...base,
        step: async () => {
          steps += 1;
          const most = [...live.values()].reduce((sum, { aborted, choices }) => sum + (aborted ? 0 : choices), 0);
          const { running, waiting } = engine.load;
          if (running + waiting > most) wrong = `step ${steps}: ${running} run and ${waiting} wait, of ${most}`;
          // The step takes a while: clients leave in the middle of it too.
          await turn();
          return await base.step();
        },
      };
      const engine = fakeEngine({ device, maxBufferedEvents: 3 });
      await Promise.all(
        clients.map(async ({ delay, abortAfterSteps, stopsReadingAfter, ...each }, id) => {
          for (let count = 0; count < delay; count++) await turn();
          const abort = new AbortController();
          const state = { aborted: false, choices: each.choices, phase: 'waiting' };
          live.set(id, state);
          const leave = () => {
            const isPlaced = state.phase === 'waiting' && engine.load.waiting === 0;
            if (live.has(id)) phases.add(isPlaced ? 'prefill' : state.phase);
            state.aborted = true;
            abort.abort();
          };
          const { length, ...rest } = each;
          const events = engine.generate(requestOf(promptOf(length, id % 2), { ...rest, signal: abort.signal }));
          const reading = (async () => {
            let seen = 0;
            for await (const event of events) {
              state.phase = event.type;
              if (seen++ === stopsReadingAfter) {
                state.phase = 'behind';
                await new Promise<void>((resolve) => abort.signal.addEventListener('abort', () => resolve()));
              }
            }
          })().catch((error: unknown) => {
            if (!CortexError.isInstance(error) || error.code !== 'request_cancelled') throw error;
          });
          const until = steps + (abortAfterSteps ?? 0);
          let patience = 60;
          const mustLeave = abortAfterSteps !== null || stopsReadingAfter !== null;
          while (mustLeave && steps < until && patience-- > 0) await turn();
          if (abortAfterSteps !== null) leave();
          // One that reads no more and was not aborted leaves in the end.
          if (stopsReadingAfter !== null) {
            for (let count = 0; count < 20; count++) await turn();
            leave();
          }
          await reading;
          live.delete(id);
        }),
      );
      await engine.idle();
      const { running, waiting, pages } = engine.load;
      await engine.close();
      if (wrong !== '') throw new CortexError('internal_error', { reason: wrong });
      return running + waiting + pages.used + pages.reserved === 0;
    }),
    { numRuns: 200 },
  );
  for (const phase of ['waiting', 'prefill', 'text-delta', 'behind', 'choice-end']) t.true(phases.has(phase), phase);
});
