import { type Architecture, contractVersion } from '@helexa/graph';
import test from 'ava';
import { readArchitectures } from './architectures.js';

const method = () => ({});
const architecture = (name: string, version = contractVersion) =>
  ({
    name,
    contractVersion: version,
    parseConfig: method,
    ggufConfig: method,
    facts: method,
    weights: method,
    forward: method,
  }) as unknown as Architecture;
const success = (plugin: string, result: unknown) => ({ plugin: { name: plugin }, result });

test('readArchitectures joins the lists of all plugins', (t) => {
  const { architectures, problems } = readArchitectures({
    successes: [success('a', [architecture('one'), architecture('two')]), success('b', [architecture('three')])],
    failures: [],
  });
  t.deepEqual(
    architectures.map((entry) => entry.name),
    ['one', 'two', 'three'],
  );
  t.deepEqual(problems, []);
});

test('readArchitectures names a plugin that speaks another contract version and keeps the rest', (t) => {
  const { architectures, problems } = readArchitectures({
    successes: [success('old', [architecture('one', contractVersion + 1)]), success('new', [architecture('two')])],
    failures: [],
  });
  t.deepEqual(
    architectures.map((entry) => entry.name),
    ['two'],
  );
  t.is(problems.length, 1);
  t.is(problems[0]?.code, 'architecture_contract');
  t.regex(problems[0]?.message ?? '', /'old'.*contract version '2'; this cortex wants '1'/);
});

test('readArchitectures reports a plugin whose hook failed, with its cause', (t) => {
  const error = new Error('no such file');
  const { problems } = readArchitectures({ successes: [], failures: [{ plugin: { name: 'broken' }, error }] });
  t.is(problems[0]?.message, "Cannot use architecture plugin 'broken': no such file");
  t.is(problems[0]?.cause, error);
});

test('readArchitectures refuses what is no list, no object, nameless or incomplete', (t) => {
  const { forward: _, ...incomplete } = architecture('half') as unknown as Record<string, unknown>;
  const { architectures, problems } = readArchitectures({
    successes: [success('p', undefined), success('q', [null, {}, incomplete])],
    failures: [],
  });
  t.deepEqual(architectures, []);
  t.deepEqual(
    problems.map((problem) => problem.message.replace(/^.*?: /, '')),
    [
      'its hook gave no list of architectures',
      'it gave something that is no architecture',
      'it gave an architecture without a name',
      "'half' has no 'forward'",
    ],
  );
});

test('readArchitectures keeps the first of two architectures with one name', (t) => {
  const first = architecture('same');
  const { architectures, problems } = readArchitectures({
    successes: [success('a', [first]), success('b', [architecture('same')])],
    failures: [],
  });
  t.is(architectures[0], first);
  t.is(architectures.length, 1);
  t.regex(problems[0]?.message ?? '', /'b': 'same' is already served by 'a'/);
});
