import { type BackendCase, rowsStep } from '../case.js';

const steps = [1, 4, 9, 65].map(rowsStep);

const sum = (ranks: number): BackendCase => ({
  name: `all_reduce over ${ranks} ranks`,
  ops: ['all_reduce'],
  boundOf: 'all_reduce',
  bound: 1e-5,
  vocab: 96,
  ranks,
  steps,
  mutation: 'the last rank adds nothing',
  build(writer, mutated) {
    const scale = mutated && writer.rank === ranks - 1 ? 0 : 1;
    return writer.finish(writer.run('all_reduce', [writer.input(`x${writer.rank}`, 37, scale)]));
  },
});

/** Each rank holds a run of the vocabulary; together they look every token up. */
const vocabulary = (ranks: number): BackendCase => ({
  name: `embed over ${ranks} ranks`,
  ops: ['embed', 'all_reduce'],
  boundOf: 'all_reduce',
  bound: 1e-6,
  vocab: 96,
  ranks,
  steps,
  mutation: 'rank 1 holds the tokens before its own',
  build(writer, mutated) {
    const share = writer.vocab / ranks;
    const start = writer.rank * share;
    const table = writer.matrix('table', [share], 24, {
      values: (row, col) => Math.sin((start + row) * 24 + col),
      lookup: true,
    });
    const vocabStart = mutated && writer.rank === 1 ? start - 1 : start;
    const part = writer.run('embed', [], { table }, { vocabStart })[0]!;
    return writer.finish(writer.run('all_reduce', [part]));
  },
});

/** Unequal shares of the columns. */
const columns: BackendCase = {
  name: 'gather over 2 ranks with unequal shares',
  ops: ['gather'],
  boundOf: 'gather',
  bound: 1e-6,
  vocab: 96,
  ranks: 2,
  steps,
  mutation: 'the ranks exchange their columns',
  build(writer, mutated) {
    const name = `x${mutated ? 1 - writer.rank : writer.rank}`;
    const width = writer.rank === 0 ? 50 : 46;
    const columnStart = writer.rank === 0 ? 0 : 50;
    const rows = writer.run('gather_rows', [writer.input(name, width)])[0]!;
    const all = writer.run('gather', [rows], {}, { columnStart, columns: 96 })[0]!;
    return writer.finishWith(all);
  },
};

export const collectiveCases: readonly BackendCase[] = [sum(2), sum(3), vocabulary(2), columns];
