/**
 * Asks the demonstration model for answers to random schemas over HTTP, and checks every one with a validator that is not
 * ours. The schemas have an end: a toy model does not know one. Then measures what grammars cost on a vocabulary of 150,000 tokens, in processor time.
 *
 * @example npm run soak:grammar -- --runs 500 --seed 1
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { neuronConfigSchema } from '@helexa/core';
import { startNeuron } from '@helexa/neuron';
import fc from 'fast-check';
import {
  bounded,
  randomSchemas,
  type SchemaSample,
  strangersValidator,
} from '../../packages/neuron/dist/grammar/random-schema.fixture.js';
import { measureCosts } from './grammar-soak/measure-costs.js';
import { architectures } from './shared/architectures.js';
import { openBackend } from './shared/open-backend.js';
import { repositoryRoot } from './shared/repository-root.js';
import { runTool } from './shared/run-tool.js';

const prompts = [
  'What is cortex?',
  'Answer in JSON.',
  'List three colours.',
  'Who are you? Give your name and your age.',
  'Zähle bis zehn.',
];

interface Tally {
  valid: number;
  /** Cut by `max_tokens`: the one way in which an answer may be no JSON. */
  cut: number;
  invalid: number;
  tokens: number;
}

interface Completion {
  readonly choices: readonly {
    readonly message: { readonly content: string | null };
    readonly finish_reason: string;
  }[];
  readonly usage: { readonly completion_tokens: number };
}

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      runs: { type: 'string', default: '500' },
      seed: { type: 'string', default: '1' },
      device: { type: 'string', default: 'cpu' },
      'max-tokens': { type: 'string', default: '1024' },
    },
  });
  const [runs, seed, maxTokens] = [Number(values.runs), Number(values.seed), Number(values['max-tokens'])];
  // Whether a recursion ends is the model's to say.
  const schemas = fc
    .sample(randomSchemas(2), { numRuns: runs + 200, seed })
    .flatMap(({ schema }) => ('$ref' in schema ? [] : [bounded(schema)]))
    .slice(0, runs);
  const backend = await openBackend(values.device);
  const neuron = await startNeuron({
    architectures,
    backends: [backend],
    config: neuronConfigSchema.parse({
      listen: '127.0.0.1:0',
      models_dir: [join(repositoryRoot, 'examples/models')],
      default_models: [{ model_id: 'cortex-tiny' }],
      engine: { max_sequences: 8 },
    }),
  });
  try {
    await neuron.loadModel('cortex-tiny');
    const tally = await askAll(neuron.url, schemas, seed, maxTokens);
    console.log(
      `${tally.valid} of ${runs} answers valid, ${tally.cut} cut by max_tokens, ${tally.invalid} invalid; ${tally.tokens} tokens`,
    );
    for (const line of measureCosts()) console.log(line);
    return tally.invalid === 0 && tally.valid + tally.cut === runs ? 0 : 1;
  } finally {
    await neuron.close();
  }
}

/** Eight at a time, so that constrained rows run beside each other. */
async function askAll(url: string, schemas: readonly unknown[], seed: number, maxTokens: number): Promise<Tally> {
  const tally: Tally = { valid: 0, cut: 0, invalid: 0, tokens: 0 };
  const validator = strangersValidator();
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < schemas.length; index = next++) {
      const schema = schemas[index]!;
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          model: 'cortex-tiny',
          messages: [{ role: 'user', content: prompts[index % prompts.length] }],
          response_format: { type: 'json_schema', json_schema: { name: 'answer', schema } },
          temperature: [0, 0.7, 1, 1.5][index % 4],
          seed: seed + index,
          max_tokens: maxTokens,
        }),
      });
      const text = await response.text();
      if (response.status !== 200) {
        tally.invalid++;
        console.log(`refused: ${text} for ${JSON.stringify(schema)}`);
        continue;
      }
      const { choices, usage } = JSON.parse(text) as Completion;
      const content = choices[0]?.message.content ?? '';
      tally.tokens += usage.completion_tokens;
      if (choices[0]?.finish_reason === 'length') {
        tally.cut++;
        console.log(`cut: ${content.slice(0, 60)}... for ${JSON.stringify(schema)}`);
      } else if (isValid(validator, schema as SchemaSample['schema'], content)) tally.valid++;
      else {
        tally.invalid++;
        console.log(`invalid: ${content} for ${JSON.stringify(schema)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  return tally;
}

function isValid(
  validator: ReturnType<typeof strangersValidator>,
  schema: SchemaSample['schema'],
  content: string,
): boolean {
  try {
    return validator.validate(schema as Record<string, unknown>, JSON.parse(content)) === true;
  } catch {
    return false;
  }
}

await runTool(() => main(process.argv.slice(2)));
