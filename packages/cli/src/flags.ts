import { Flags } from '@oclif/core';
import { deviceNames } from './backends.js';

/** Flags that several commands share, so that they read alike everywhere. */
export const sharedFlags = {
  device: Flags.option({
    options: deviceNames,
    summary: 'Where to compute: auto takes the best there is, any other name is taken or refused.',
  }),
  threads: Flags.integer({
    min: 1,
    summary: 'Worker threads of the CPU kernels; by default as many as this process may use.',
  }),
  tp: Flags.integer({ min: 1, summary: 'Tensor-parallel ranks: the model is divided over this many device threads.' }),
  quant: Flags.string({
    summary:
      'One GGUF file of several, such as Q4_K_M; safetensors become q4_0, q4k, q5k, q6k or q8_0 as they are read.',
  }),
  endpoint: Flags.string({
    char: 'e',
    default: 'http://127.0.0.1:31313',
    summary: 'Address of the gateway.',
  }),
  key: Flags.string({ env: 'CORTEX_API_KEY', summary: 'Key for the gateway, where it asks for one.' }),
  config: Flags.string({ char: 'c', summary: 'Configuration file to read instead of looking for one.' }),
};
