/** A process of its own that fetches a model until it is killed: `node interrupted-fetch.fixture.js ENDPOINT CACHE`. */
import { openTestSources } from '../testing/test-sources.js';

const [, , endpoint, cacheFolder] = process.argv;
const { sources } = await openTestSources(endpoint!, { cacheFolder: cacheFolder! });
await sources.fetch(await sources.repository('org/name'), ['model.safetensors'], {
  onProgress: ({ bytes }) => process.stdout.write(`${bytes}\n`),
});
process.stdout.write('done\n');
