import { type CpuBackendOptions, cpuBackend } from './index.js';

type Isa = Exclude<CpuBackendOptions['isa'], 'auto' | undefined>;

/** The addon that tests load: the built one, or an instrumented one that `npm run sanitize` names. */
export const addonUnderTest = (): Pick<CpuBackendOptions, 'addon'> => {
  const addon = process.env['CORTEX_CPU_ADDON'];
  return addon ? { addon } : {};
};

/** Instruction sets that this machine and this build have. */
export const isasHere = (): readonly Isa[] =>
  (['amx', 'avx512', 'avx2', 'portable'] as const).filter((isa) => {
    try {
      cpuBackend({ isa, ...addonUnderTest() });
      return true;
    } catch {
      return false;
    }
  });
