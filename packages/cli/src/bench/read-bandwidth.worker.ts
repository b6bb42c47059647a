import { parentPort } from 'node:worker_threads';

/** `read: false` allocates and touches the buffer; `read: true` reads all of it and answers when. */
export interface ReadTask {
  readonly bytes: number;
  readonly read: boolean;
}

/** Touches every cache line with four independent sums, so that loads and not additions are the limit. */
function readLines(values: Float64Array): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  const end = values.length - 31;
  for (let at = 0; at < end; at += 32) {
    a += values[at]!;
    b += values[at + 8]!;
    c += values[at + 16]!;
    d += values[at + 24]!;
  }
  return a + b + c + d;
}

if (parentPort) {
  const port = parentPort;
  let buffer = new Float64Array(0);
  port.on('message', (task: ReadTask) => {
    if (!task.read) buffer = new Float64Array(task.bytes / 8).fill(1);
    const begun = process.hrtime.bigint();
    const sum = task.read ? readLines(buffer) : 0;
    port.postMessage({ begun, ended: process.hrtime.bigint(), sum });
  });
}
