// Loads a model, runs a step, starts another and simply returns: the process must end all the same.
import { addonUnderTest } from './addon.fixture.js';
import { cpuBackend } from './index.js';
import { RandomModel, randomCheckpoint, randomTokens, smallModel } from './random-model.fixture.js';

const { checkpoint, dispose } = randomCheckpoint(smallModel);
const backend = cpuBackend(addonUnderTest());
const model = await RandomModel.load({ config: smallModel, checkpoint, backend });
dispose();
await model.step([{ slot: 0, tokens: randomTokens(5, smallModel.vocab), past: 0 }]);
process.stdout.write('stepped\n');
void model.device.step();
