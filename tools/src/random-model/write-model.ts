import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { listCheckpointTensors, type WeightsTable } from '@helexa/graph';
import { chatTemplate, makeByteVocabulary, tokenizerJson } from './byte-tokenizer.js';
import { planTensors } from './file-writer.js';
import { writeGguf } from './gguf-file.js';
import { ggufMetadata } from './gguf-metadata.js';
import { mixtureOf } from './mixture.js';
import type { NamedSize } from './published-size.js';
import { RandomWords } from './random-words.js';
import { writeSafetensors } from './safetensors-file.js';

export interface WrittenModel {
  readonly path: string;
  readonly bytes: number;
  readonly tensors: number;
}

/**
 * Writes a model of a published size with random weights: one GGUF file for a quantised model or a path that ends in .gguf,
 * otherwise a safetensors folder.
 */
export function writeModel({ architecture, size }: NamedSize, quant: string, seed: number, out: string): WrittenModel {
  const json = size.config as Readonly<Record<string, unknown>>;
  const config = architecture.parseConfig(json, `${size.name}/config.json`);
  const facts = architecture.facts(config);
  const isTied = json['tie_word_embeddings'] === true;
  const { kind, formatOf } = mixtureOf(quant, facts.layers, isTied, out.endsWith('.gguf'));
  const table = architecture.weights(config);
  const tensors = planTensors(
    listCheckpointTensors(table, kind).filter(({ slot }) => isStored(table, slot, isTied)),
    formatOf,
  );
  const random = new RandomWords(seed);
  const vocabulary = makeByteVocabulary(
    facts.vocab,
    firstId(json['bos_token_id'], 0),
    firstId(json['eos_token_id'], 1),
  );
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  if (kind === 'gguf') {
    const path = out.endsWith('.gguf') ? out : join(out, `${size.name}-${quant}.gguf`);
    mkdirSync(dirname(path), { recursive: true });
    writeGguf(path, ggufMetadata(architecture.ggufArchitectures[0]!, size.name, json, vocabulary), tensors, random);
    return { path, bytes, tensors: tensors.length };
  }
  mkdirSync(out, { recursive: true });
  const write = (name: string, content: unknown) =>
    writeFileSync(join(out, name), `${JSON.stringify(content, null, 1)}\n`);
  write('config.json', json);
  write('generation_config.json', {
    bos_token_id: vocabulary.bos,
    eos_token_id: json['eos_token_id'] ?? vocabulary.eos,
  });
  write('tokenizer_config.json', { bos_token: null, eos_token: '<|im_end|>', chat_template: chatTemplate });
  writeFileSync(join(out, 'tokenizer.json'), JSON.stringify(tokenizerJson(vocabulary)));
  writeSafetensors(join(out, 'model.safetensors'), tensors, random);
  return { path: out, bytes, tensors: tensors.length };
}

/** A tied row has no tensor of its own, and what a model works without is left out. */
function isStored(table: WeightsTable, slot: string, isTied: boolean): boolean {
  const name = slot.replace(/^layers\.\d+\./, '');
  const row = table.rows.find((candidate) => candidate.slot === name || candidate.slot === slot);
  return row === undefined || !(row.optional === true || (isTied && row.tie !== undefined));
}

function firstId(value: unknown, fallback: number): number {
  const id: unknown = Array.isArray(value) ? value[0] : value;
  return typeof id === 'number' ? id : fallback;
}
