import { CortexError } from '@helexa/core';
import { lowerCase, rowsStep } from '@helexa/graph/conformance';
import untitled from 'ava';
import { control, emulatedBackend, missingEmulation } from './emulated.fixture.js';
import { decodeStep, SmallModel, smallCase } from './small-model.fixture.js';

// The emulated devices are one state of this process: one test at a time.
const test = missingEmulation ? untitled.skip : untitled.serial;
if (!missingEmulation) untitled.before(() => void control('devices 2'));

/** Numbers of `cudaError_t`. */
const cudaError = {
  memoryAllocation: 2,
  invalidConfiguration: 9,
  illegalAddress: 700,
  launchFailure: 719,
  captureUnsupported: 900,
};

const failureOf = async (action: () => Promise<unknown>): Promise<CortexError | null> => {
  try {
    await action();
    return null;
  } catch (error) {
    if (CortexError.isInstance(error)) return error;
    throw error;
  }
};

const codeOf = async (action: () => Promise<unknown>): Promise<string> => (await failureOf(action))?.code ?? 'none';

/** What a model that never ran a step answers. */
async function fresh(step: ReturnType<typeof decodeStep>, devices = [0]) {
  const backend = emulatedBackend();
  const model = await SmallModel.load(backend, { devices });
  const answer = await model.step(step);
  await backend.dispose();
  return answer;
}

test('step answers from a replayed graph what it answers op by op, to the last bit, with any counts', async (t) => {
  const backend = emulatedBackend();
  const model = await SmallModel.load(backend);
  // Three sequences share the shape of four; two of one shape, then more, then fewer, with a prompt between.
  const rounds = [[1, 2, 3], [4, 5, 6, 7], [8, 9, 10], [11], [12], [13], [14, 15, 16, 17], [18, 19]];
  for (const tokens of rounds)
    t.deepEqual(await model.step(decodeStep(tokens)), await fresh(decodeStep(tokens)), `${tokens}`);
  t.deepEqual(await model.step(rowsStep(9)), await fresh(rowsStep(9)));
  t.deepEqual(await model.step(decodeStep([3, 2, 1])), await fresh(decodeStep([3, 2, 1])));
  await backend.dispose();
});

test('step captures the second step of a shape and replays it from then on', async (t) => {
  const backend = emulatedBackend();
  const model = await SmallModel.load(backend);
  // A call that fails shows that it is made.
  const calls = async (name: string) => {
    control(`fail ${name} 1 ${cudaError.memoryAllocation}`);
    const code = await codeOf(() => model.step(decodeStep([5])));
    control('forget');
    return code === 'out_of_memory';
  };
  t.false(await calls('cudaGraphLaunch'), 'the first step of a shape runs op by op');
  t.true(await calls('cudaGraphInstantiate'), 'the second is captured; where that fails, the step fails');
  t.false((await calls('cudaLaunchKernelEx')) && !(await calls('cudaGraphLaunch')), 'the next captures again');
  t.true(await calls('cudaGraphLaunch'));
  t.false(await calls('cudaLaunchKernelEx'), 'a replay launches nothing by itself');
  t.deepEqual(await model.step(decodeStep([5])), await fresh(decodeStep([5])));
  await backend.dispose();
});

test('measureMemory says what load takes, within 1 percent, and dispose gives all of it back', async (t) => {
  const backend = emulatedBackend();
  const before = control('allocated 0');
  const { programs, limits } = lowerCase(smallCase(), { mutated: false });
  const [planned] = backend.measureMemory!({ programs, devices: [0], limits, kvFormat: 'F32' });
  const model = await SmallModel.load(backend);
  const taken = control('allocated 0') - before;
  const { weightBytes, kvBytes, stateBytes, activationBytes } = planned!;
  const sum = weightBytes + kvBytes + stateBytes + activationBytes;
  t.true(Math.abs(taken - sum) <= 0.01 * sum, `${taken} bytes taken, ${sum} planned`);
  t.deepEqual(model.device.memory[0], planned);
  await backend.dispose();
  t.is(control('allocated 0'), before);
});

test('ranks on one device and on two answer the same sum, op by op and replayed', async (t) => {
  const step = decodeStep([7, 9]);
  const wanted = await fresh(step, [0, 0]);
  for (const devices of [
    [0, 0],
    [0, 1],
    [1, 0],
  ]) {
    const backend = emulatedBackend();
    const model = await SmallModel.load(backend, { devices });
    for (let round = 0; round < 3; round++) t.deepEqual(await model.step(step), wanted, `${devices}, round ${round}`);
    await backend.dispose();
  }
});

test('load answers out_of_memory where a device or the host has too little, and the next load works', async (t) => {
  for (const call of ['cudaMalloc', 'cudaHostAlloc']) {
    for (const after of [1, 2]) {
      const backend = emulatedBackend();
      control(`fail ${call} ${after} ${cudaError.memoryAllocation}`);
      t.is(await codeOf(() => SmallModel.load(backend)), 'out_of_memory', `${call} ${after}`);
      t.is(await codeOf(() => SmallModel.load(backend)), 'none');
      await backend.dispose();
    }
  }
  const backend = emulatedBackend();
  control('memory 100000');
  const refused = await failureOf(() => SmallModel.load(backend));
  control(`memory ${2 ** 32}`);
  t.is(refused?.code, 'out_of_memory');
  t.is(refused?.details['haveBytes'], 100000);
  await backend.dispose();
});

test('step names the instruction whose kernel cannot be launched, and the next step runs', async (t) => {
  const backend = emulatedBackend();
  const model = await SmallModel.load(backend);
  control(`fail cudaLaunchKernelEx 2 ${cudaError.invalidConfiguration}`);
  const refused = await failureOf(() => model.step(rowsStep(3)));
  t.is(refused?.code, 'program_invalid');
  t.true(Number(refused?.details['instruction']) >= 1);
  t.regex(refused?.message ?? '', /cudaErrorInvalidConfiguration.* while running instruction \d+, [a-z_]+$/);
  t.deepEqual(await model.step(rowsStep(3)), await fresh(rowsStep(3)));
  await backend.dispose();
});

for (const call of [
  'cudaMemcpyAsync',
  'cudaLaunchKernelEx',
  'cudaEventRecord',
  'cudaEventQuery',
  'cudaEventElapsedTime',
]) {
  test(`a ${call} that answers an error that sticks loses the device until its models are gone`, async (t) => {
    const backend = emulatedBackend();
    const [model, other] = [await SmallModel.load(backend), await SmallModel.load(backend)];
    control(`fail ${call} 1 ${cudaError.illegalAddress}`);
    const lost = await failureOf(() => model.step(rowsStep(2)));
    t.is(lost?.code, 'device_lost');
    t.regex(lost?.message ?? '', /cudaErrorIllegalAddress/);
    control('forget');
    // Poisoned: the device would work again, but nothing on it is believed any more.
    t.is(await codeOf(() => model.step(rowsStep(2))), 'device_lost');
    t.is(await codeOf(() => other.step(rowsStep(2))), 'device_lost');
    t.is(await codeOf(() => SmallModel.load(backend)), 'device_lost');
    await backend.dispose();
    // As a host does that makes the backend anew and loads its models again.
    t.deepEqual(await fresh(rowsStep(2)), await fresh(rowsStep(2)));
  });
}

test('a fault while weights arrive is told by upload or by seal', async (t) => {
  for (const after of [1, 3]) {
    const backend = emulatedBackend();
    control(`fail cudaMemcpyAsync ${after} ${cudaError.launchFailure}`);
    t.is(await codeOf(() => SmallModel.load(backend)), 'device_lost');
    control('forget');
    await backend.dispose();
    await fresh(rowsStep(1));
  }
  const backend = emulatedBackend();
  const model = await SmallModel.load(backend, { seal: false });
  control(`fail cudaStreamSynchronize 1 ${cudaError.launchFailure}`);
  t.is(await codeOf(() => model.device.seal()), 'device_lost');
  control('forget');
  await backend.dispose();
});

test('a step that cannot be captured fails, and the next one is', async (t) => {
  for (const call of ['cudaStreamBeginCapture', 'cudaLaunchKernelEx']) {
    const backend = emulatedBackend();
    const model = await SmallModel.load(backend);
    await model.step(decodeStep([1]));
    control(`fail ${call} 1 ${cudaError.captureUnsupported}`);
    t.is(await codeOf(() => model.step(decodeStep([2]))), 'program_invalid', call);
    control('forget');
    t.deepEqual(await model.step(decodeStep([3])), await fresh(decodeStep([3])), call);
    await backend.dispose();
  }
});
