export { FakeClock, settle } from './fake-clock.js';
export {
  type FakeAnswer,
  type FakeNeuron,
  type FakeNeuronOptions,
  type FakeRequest,
  type FakeStep,
  startFakeNeuron,
} from './fake-neuron.js';
export { findProgram } from './find-program.js';
export { freePort } from './free-port.js';
export { makeCertificate, type TestCertificate } from './make-certificate.js';
export { type GgufField, type GgufFile, type GgufTensor, makeGguf } from './make-gguf.js';
export { makeSafetensors, type SafetensorsTensor, safetensorsFile } from './make-safetensors.js';
export { seededRandom } from './seeded-random.js';
