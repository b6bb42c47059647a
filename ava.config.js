// One run for every package. Tests are compiled by `tsc -b` first; rewritePaths maps a source file to its compiled twin.
const packages = [
  'core',
  'graph',
  'arch-llama',
  'arch-qwen3',
  'arch-qwen3-next',
  'kernels-cpu',
  'kernels-cuda',
  'neuron',
  'gateway',
  'cli',
];

export default {
  files: ['packages/*/src/**/*.test.ts', 'examples/arch-qwen2/src/**/*.test.ts', 'tools/src/**/*.test.ts'],
  typescript: {
    rewritePaths: Object.fromEntries([
      ...packages.map((name) => [`packages/${name}/src/`, `packages/${name}/dist/`]),
      ['examples/arch-qwen2/src/', 'examples/arch-qwen2/dist/'],
      ['tools/src/', 'tools/dist/'],
    ]),
    compile: false,
  },
  workerThreads: false,
  timeout: '5m',
};
