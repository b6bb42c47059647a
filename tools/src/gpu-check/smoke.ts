import { type OpName, opcodes } from '@helexa/graph';
import { checkConformance } from './conformance.js';
import { tell } from './finding.js';
import { openDevice, type StageOptions } from './open-device.js';

/** Opens the backend, names its devices and runs the first cases: what fails here makes the rest idle. */
export async function checkSmoke(options: StageOptions): Promise<void> {
  const backend = await openDevice(options);
  try {
    for (const { index, name, capability, memoryBytes, freeBytes } of await backend.discover())
      tell({
        what: `device ${index}`,
        verdict: 'figure',
        text: `${name}, ${capability}, ${(freeBytes / 1e9).toFixed(1)} of ${(memoryBytes / 1e9).toFixed(1)} GB free`,
      });
    const missing = Object.keys(opcodes).filter((name) => !backend.ops.has(name as OpName));
    const text = `${backend.ops.size} of ${Object.keys(opcodes).length}`;
    tell({ what: 'ops', verdict: 'figure', text: [text, ...missing].join(', not ') });
  } finally {
    await backend.dispose();
  }
  await checkConformance(() => openDevice(options), options.filter, tell, 2);
}
