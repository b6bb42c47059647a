export { FakeClock, settle } from './fake-clock.js';
export {
  type FakeAnswer,
  type FakeNeuron,
  type FakeNeuronOptions,
  type FakeRequest,
  type FakeStep,
  startFakeNeuron,
} from './fake-neuron.js';
export { freePort } from './free-port.js';
