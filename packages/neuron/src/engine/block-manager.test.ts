import { pageTokens } from '@helexa/graph';
import test from 'ava';
import fc from 'fast-check';
import { BlockManager, type PageLease } from './block-manager.js';

const tokens = (count: number, seed = 0) => Array.from({ length: count }, (_, index) => (index * 31 + seed) % 97);

test('BlockManager reuses the full pages of an equal prefix, but never the whole prompt', (t) => {
  const blocks = new BlockManager({ pages: 8, reuse: 'shared' });
  const prompt = tokens(2 * pageTokens);
  const first = blocks.admit(prompt, prompt.length)!;
  t.is(first.reusedTokens, 0);
  blocks.register(first, prompt, prompt.length);
  const second = blocks.admit(prompt, prompt.length)!;
  t.is(second.reusedTokens, pageTokens);
  t.is(second.pages[0], first.pages[0]);
  t.not(second.pages[1], first.pages[1]);
});

test('BlockManager finds a prefix after its sequence has gone, until the room is needed', (t) => {
  const blocks = new BlockManager({ pages: 4, reuse: 'shared' });
  const prompt = tokens(3 * pageTokens);
  const first = blocks.admit(prompt, prompt.length)!;
  blocks.register(first, prompt, prompt.length);
  blocks.release(first);
  t.deepEqual(blocks.counts, { free: 1, cached: 3, used: 0, reserved: 0 });
  const other = blocks.admit(tokens(2 * pageTokens, 5), 2 * pageTokens)!;
  // The tail of the old prefix went first: its beginning is still there.
  blocks.release(other);
  const again = blocks.admit(prompt, prompt.length)!;
  t.is(again.reusedTokens, 2 * pageTokens);
});

test('BlockManager does not reuse a page whose tokens are equal but whose prefix differs', (t) => {
  const blocks = new BlockManager({ pages: 8, reuse: 'shared' });
  const tail = tokens(pageTokens, 3);
  const first = [...tokens(pageTokens, 1), ...tail, 1];
  const lease = blocks.admit(first, first.length)!;
  blocks.register(lease, first, first.length);
  t.is(blocks.admit([...tokens(pageTokens, 2), ...tail, 1], first.length)!.reusedTokens, 0);
});

test('BlockManager shares within a group only when told so, and forgets the group when it ends', (t) => {
  const blocks = new BlockManager({ pages: 8, reuse: 'group' });
  const prompt = tokens(pageTokens + 1);
  const first = blocks.admit(prompt, prompt.length, 1)!;
  blocks.register(first, prompt, prompt.length);
  t.is(blocks.admit(prompt, prompt.length, 2)!.reusedTokens, 0);
  const sibling = blocks.admit(prompt, prompt.length, 1)!;
  t.is(sibling.reusedTokens, pageTokens);
  blocks.release(first);
  blocks.release(sibling);
  t.is(blocks.counts.cached, 0);
});

test('BlockManager reserves the whole output at admission', (t) => {
  const blocks = new BlockManager({ pages: 4, reuse: 'shared' });
  const lease = blocks.admit(tokens(10), 3 * pageTokens)!;
  t.deepEqual(blocks.counts, { free: 3, cached: 0, used: 1, reserved: 2 });
  t.is(blocks.admit(tokens(10, 4), 2 * pageTokens), null);
  blocks.cover(lease, 3 * pageTokens);
  t.throws(() => blocks.cover(lease, 3 * pageTokens + 1), { code: 'internal_error' });
});

test('BlockManager refuses a second release of the same lease', (t) => {
  const blocks = new BlockManager({ pages: 4, reuse: 'shared' });
  const lease = blocks.admit(tokens(10), 10)!;
  blocks.release(lease);
  t.throws(() => blocks.release(lease), { code: 'internal_error' });
});

test('BlockManager keeps its books under any schedule of admissions, growth and releases', (t) => {
  interface Live {
    readonly lease: PageLease;
    readonly tokens: number[];
    readonly cap: number;
    computed: number;
  }
  const action = fc.oneof(
    fc.record({
      kind: fc.constant('admit' as const),
      prefix: fc.nat(3),
      length: fc.integer({ min: 1, max: 260 }),
      cap: fc.nat(200),
    }),
    fc.record({ kind: fc.constant('grow' as const), which: fc.nat(9), by: fc.integer({ min: 1, max: 90 }) }),
    fc.record({ kind: fc.constant('release' as const), which: fc.nat(9) }),
  );
  fc.assert(
    fc.property(
      fc.array(action, { maxLength: 60 }),
      fc.constantFrom('shared' as const, 'group' as const, 'none' as const),
      (actions, reuse) => {
        const pages = 16;
        const blocks = new BlockManager({ pages, reuse });
        const live: Live[] = [];
        // What was last written to each page position: a page found by prefix must hold exactly the prompt's tokens.
        const written = new Int32Array(pages * pageTokens).fill(-1);
        const write = (each: Live, to: number) => {
          for (; each.computed < to; each.computed++) {
            const page = each.lease.pages[Math.floor(each.computed / pageTokens)]!;
            const holders = live.filter((other) => other.lease.pages.includes(page));
            if (holders.length !== 1)
              throw new Error(`page ${page} is written while ${holders.length} sequences hold it`);
            written[page * pageTokens + (each.computed % pageTokens)] = each.tokens[each.computed]!;
          }
          blocks.register(each.lease, each.tokens, each.computed);
        };
        for (const step of actions) {
          if (step.kind === 'admit') {
            const prompt = Array.from(
              { length: step.length },
              (_, index) => (index * 7 + step.prefix * (index > 100 ? 1 : 0)) % 50,
            );
            const cap = step.length + step.cap;
            const lease = blocks.admit(prompt, cap, step.prefix);
            if (!lease) continue;
            for (let position = 0; position < lease.reusedTokens; position++) {
              const page = lease.pages[Math.floor(position / pageTokens)]!;
              if (written[page * pageTokens + (position % pageTokens)] !== prompt[position])
                throw new Error('a reused page holds other tokens');
            }
            const each: Live = { lease, tokens: prompt, cap, computed: lease.reusedTokens };
            live.push(each);
            write(each, prompt.length);
          } else if (live.length > 0) {
            const index = step.which % live.length;
            const each = live[index]!;
            if (step.kind === 'release') {
              live.splice(index, 1);
              blocks.release(each.lease);
            } else {
              const to = Math.min(each.cap, each.tokens.length + step.by);
              for (let at = each.tokens.length; at < to; at++) each.tokens.push((at * 13 + step.by) % 50);
              blocks.cover(each.lease, to);
              write(each, to);
            }
          }
          const held = new Set(live.flatMap((each) => each.lease.pages));
          const { free, cached, used, reserved } = blocks.counts;
          const promised = live.reduce(
            (sum, each) => sum + Math.ceil(each.cap / pageTokens) - each.lease.pages.length,
            0,
          );
          if (
            used !== held.size ||
            free + cached + used !== pages ||
            reserved !== promised ||
            reserved > free + cached
          ) {
            throw new Error(
              `books are wrong: ${JSON.stringify({ free, cached, used, reserved, held: held.size, promised })}`,
            );
          }
          for (const each of live)
            if (new Set(each.lease.pages).size !== each.lease.pages.length) throw new Error('a page twice');
        }
        for (const each of live) blocks.release(each.lease);
        return blocks.counts.used === 0 && blocks.counts.reserved === 0;
      },
    ),
    { numRuns: 300 },
  );
  t.pass();
});

test('BlockManager reuses pages of a recurrent model only up to a state that was kept', (t) => {
  const blocks = new BlockManager({ pages: 16, reuse: 'shared', states: { first: 4, count: 1 } });
  const prompt = tokens(3 * pageTokens + 1);
  const first = blocks.admit(prompt, prompt.length)!;
  t.deepEqual([first.reusedTokens, first.state, first.marks], [0, null, [3 * pageTokens]]);
  blocks.register(first, prompt, 2 * pageTokens);
  t.is(blocks.keepState(first, 2 * pageTokens), null, 'no mark there');
  blocks.register(first, prompt, 3 * pageTokens);
  t.is(blocks.keepState(first, 3 * pageTokens), 4);
  const again = blocks.admit(prompt, prompt.length)!;
  t.deepEqual([again.reusedTokens, again.state, again.marks], [3 * pageTokens, 4, []]);

  // It parts after the second page: the state there is kept in place of the only other one.
  const parted = [...prompt.slice(0, 2 * pageTokens), ...tokens(pageTokens + 1, 7)];
  const second = blocks.admit(parted, parted.length)!;
  t.deepEqual([second.reusedTokens, second.marks], [0, [2 * pageTokens, 3 * pageTokens]]);
  blocks.register(second, parted, 2 * pageTokens);
  t.is(blocks.keepState(second, 2 * pageTokens), 4);
  t.is(blocks.admit(prompt, prompt.length)!.reusedTokens, 2 * pageTokens);
});

test('BlockManager forgets a state with its page', (t) => {
  const blocks = new BlockManager({ pages: 2, reuse: 'shared', states: { first: 0, count: 1 } });
  const prompt = tokens(pageTokens + 1);
  const first = blocks.admit(prompt, prompt.length)!;
  blocks.register(first, prompt, pageTokens);
  t.is(blocks.keepState(first, pageTokens), 0);
  blocks.release(first);
  const other = blocks.admit(tokens(2 * pageTokens, 5), 2 * pageTokens)!;
  blocks.release(other);
  t.deepEqual([blocks.admit(prompt, prompt.length)!.state], [null]);
});
