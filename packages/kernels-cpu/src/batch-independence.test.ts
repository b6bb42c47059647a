import test from 'ava';
import { addonUnderTest, isasHere } from './addon.fixture.js';
import { cpuBackend } from './index.js';
import {
  RandomModel,
  randomCheckpoint,
  randomTokens,
  recurrentModel,
  smallModel,
  sparseModel,
} from './random-model.fixture.js';

// Bound: equality of every bit. Mutations that break it: a sum over keys that is cut by the tile or the team instead of the
// position; a product fused with a sum in one tile shape only; quantising by batch instead of by row; a sum over experts in the order of
// the experts' groups.
const models = [
  ...(['Q4_K', 'Q8_0', 'BF16', 'F32'] as const).map((format) => ({ ...smallModel, format })),
  ...(['Q4_K', 'BF16'] as const).map((format) => ({ ...sparseModel, format })),
  ...(['Q8_0', 'F32'] as const).map((format) => ({ ...recurrentModel, format })),
];

for (const isa of isasHere()) {
  for (const config of models) {
    const what = `${config.format}${config.experts ? ' experts' : ''}${config.delta ? ' recurrent' : ''}`;
    test(`cpu ${isa}, ${what}: a row's logits are the same bits in any chunking, batch and team`, async (t) => {
      const { checkpoint, dispose } = randomCheckpoint(config);
      const backend = cpuBackend({ isa, ...addonUnderTest() });
      const load = (threads: number) => RandomModel.load({ config, checkpoint, backend, threads });
      const tokens = randomTokens(90, config.vocab);
      try {
        const alone = await load(1);
        const wanted = await alone.prefill(tokens, 90);
        for (const chunk of [1, 7, 64]) t.deepEqual(await alone.prefill(tokens, chunk), wanted, `chunks of ${chunk}`);

        const team = await load(3);
        t.deepEqual(await team.prefill(tokens, 33), wanted, 'three workers');
        // The same sequence in slot 2, between two others, decoding from token 60 on.
        const others = [randomTokens(80, config.vocab, 1), randomTokens(80, config.vocab, 2)] as const;
        await team.prefill(tokens.slice(0, 60), 20, 2);
        await team.prefill(others[0].slice(0, 3), 3, 0);
        await team.prefill(others[1].slice(0, 70), 70, 5);
        for (let past = 60; past < 70; past++) {
          const logits = await team.step([
            { slot: 0, tokens: others[0].slice(past - 57, past - 56), past: past - 57 },
            { slot: 2, tokens: tokens.slice(past, past + 1), past },
            { slot: 5, tokens: others[1].slice(past + 10, past + 11), past: past + 10 },
          ]);
          t.deepEqual(logits[1], wanted[past], `token ${past} among others`);
        }
      } finally {
        await backend.dispose();
        dispose();
      }
    });
  }
}
