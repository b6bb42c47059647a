import { isGgufCompanion } from '@helexa/core';

/** What the file names of a repository say it is. */
export type RepositoryFormat = 'diffusers' | 'dense' | 'mixed' | 'gguf' | 'empty';

/** One GGUF model: the parts of a split one count together. */
export interface GgufModel {
  /** First or only file. */
  readonly file: string;
  readonly parts: readonly string[];
}

export interface Classification {
  readonly format: RepositoryFormat;
  /** Whether the safetensors have an index. */
  readonly isSharded: boolean;
  /** Sorted by name; companions such as a vision tower are none. */
  readonly ggufs: readonly GgufModel[];
}

const partPattern = /^(?<stem>.+)-(?<number>\d{5})-of-(?<count>\d{5})\.gguf$/i;

/** Classifies a repository by the names at its root; what lies in folders is no model of it. */
export function classifyRepository(names: readonly string[]): Classification {
  const atRoot = names.filter((name) => !name.includes('/'));
  const ggufs = ggufModels(atRoot);
  const hasSafetensors = atRoot.some((name) => name.endsWith('.safetensors'));
  const format = atRoot.includes('model_index.json')
    ? 'diffusers'
    : hasSafetensors
      ? ggufs.length > 0
        ? 'mixed'
        : 'dense'
      : ggufs.length > 0
        ? 'gguf'
        : 'empty';
  return { format, isSharded: hasSafetensors && atRoot.includes('model.safetensors.index.json'), ggufs };
}

function ggufModels(names: readonly string[]): GgufModel[] {
  const models = new Map<string, string[]>();
  for (const name of names) {
    if (!/\.gguf$/i.test(name) || isGgufCompanion(name)) continue;
    const part = partPattern.exec(name)?.groups;
    const key = part ? `${part['stem']}-of-${part['count']}` : name;
    models.set(key, [...(models.get(key) ?? []), name]);
  }
  return [...models.values()]
    .map((parts) => parts.toSorted())
    .map((parts) => ({ file: parts[0]!, parts }))
    .toSorted((a, b) => (a.file.toLowerCase() < b.file.toLowerCase() ? -1 : 1));
}
