/** The gateway that is measured, with keys, a budget, routing, metrics and its log on. Started with an IPC channel. */
import { writeSync } from 'node:fs';
import { gatewayConfigSchema, LineBatch } from '@helexa/core';
import { startGateway } from '@helexa/gateway';
import { pino } from 'pino';
import { benchKey } from './workload.js';

const [upstream] = process.argv.slice(2) as [string];
// The log of `cortex serve`.
const log = new LineBatch({ write: (lines) => void writeSync(2, lines), later: setImmediate });
const gateway = await startGateway({
  logger: pino({ name: 'gateway', level: 'info' }, { write: (line: string) => log.write(line) }),
  config: gatewayConfigSchema.parse({
    gateway: { listen: '127.0.0.1:0', metrics_listen: '127.0.0.1:0' },
    neurons: [{ name: 'bench', endpoint: upstream }],
    entitlements: {
      require_auth: true,
      keys: [{ key: benchKey, account_id: 'bench', hard_cap: 2 ** 50, window: { kind: 'rolling', seconds: 3600 } }],
    },
  }),
});
process.send?.({ url: gateway.url });
process.on('message', (message) => {
  if (message !== 'collect') return;
  globalThis.gc?.();
  process.send?.({ heapBytes: process.memoryUsage().heapUsed });
});
const end = (): void => void gateway.close().then(() => process.exit());
process.once('SIGTERM', end);
process.once('disconnect', end);
