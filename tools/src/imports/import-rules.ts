/** Which workspace packages each package's shipped code may import: the arrows of the architecture. */
export const allowedImports: Readonly<Record<string, readonly string[]>> = {
  core: [],
  graph: ['core'],
  'arch-llama': ['core', 'graph'],
  'arch-qwen3': ['core', 'graph'],
  'arch-qwen3-next': ['core', 'graph'],
  'kernels-cpu': ['core', 'graph'],
  'kernels-cuda': ['core', 'graph'],
  neuron: ['core', 'graph'],
  gateway: ['core'],
  cli: [
    'core',
    'graph',
    'neuron',
    'gateway',
    'kernels-cpu',
    'kernels-cuda',
    'arch-qwen3',
    'arch-qwen3-next',
    'arch-llama',
  ],
};

/** Packages that serve every architecture and therefore name none. */
export const sharedPackages = ['core', 'graph', 'neuron', 'gateway', 'kernels-cpu', 'kernels-cuda'] as const;

/** Words that name an architecture. */
export const architectureNames = /qwen|llama/i;

/** Shared files that may hold such a word, each with the reason. */
export const nameExceptions: Readonly<Record<string, string>> = {
  'graph/src/registry.ts': 'the table of published plugins by model type',
  'graph/src/blocks/rope.ts': "'llama3' is the published name of a rotary scaling",
  'neuron/src/text/tokenizer/tokenizer-gguf.ts': 'names of vocabularies, as GGUF files spell them',
};
