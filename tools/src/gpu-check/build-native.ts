import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { kernelsFolder } from './stages.js';

/** Compiles the program that runs recorded cases without Node, to `file`; false where there is no C++ compiler. */
export function buildNativeProgram(file: string, compiler = 'g++'): boolean {
  const source = join(kernelsFolder(), 'native/check/gpu_cases.cc');
  const flags = ['-std=c++20', '-O1', '-static-libstdc++', '-static-libgcc'];
  return (
    spawnSync(compiler, [...flags, '-o', file, source, '-ldl'], { stdio: ['ignore', 'ignore', 'inherit'] }).status === 0
  );
}
