import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { repositoryRoot } from '../shared/repository-root.js';
import { type DaemonProcess, startDaemon } from './daemon-process.js';
import { type FaultRegistry, startFaultRegistry } from './fault-registry.js';

/** What every case may use. Each case starts its own daemons; all of them are ended after it. */
export interface Rig {
  readonly folder: string;
  readonly registry: FaultRegistry;
  readonly modelFolder: string;
  readonly device: string;
  startNeuron(options?: NeuronChoices): Promise<DaemonProcess>;
  startGateway(neuronUrl: string): Promise<DaemonProcess>;
  close(): Promise<void>;
}

export interface NeuronChoices {
  /** Names the cache: neurons with one name share it. */
  readonly cache?: string;
  /** Registry; that of the rig when absent. */
  readonly endpoint?: string;
  readonly modelsFolder?: string;
  readonly serve?: boolean;
  readonly drainMs?: number;
}

export const demonstrationModel = join(repositoryRoot, 'examples/models/cortex-tiny');

export async function openRig(folder: string, device: string): Promise<Rig> {
  const daemons: DaemonProcess[] = [];
  const registry = await startFaultRegistry(demonstrationModel);
  let files = 0;
  const start = async (args: readonly string[], toml: string, env: Readonly<Record<string, string>> = {}) => {
    const file = join(folder, `settings-${files++}.toml`);
    await writeFile(file, toml);
    const daemon = await startDaemon([...args, '--config', file], { HOME: folder, ...env });
    daemons.push(daemon);
    return daemon;
  };
  return {
    folder,
    registry,
    modelFolder: demonstrationModel,
    device,
    async startNeuron({ cache = 'cache', endpoint = registry.url, modelsFolder, serve = false, drainMs = 2000 } = {}) {
      const cacheFolder = join(folder, cache);
      await mkdir(cacheFolder, { recursive: true });
      return await start(
        ['neuron', 'start'],
        [
          'listen = "127.0.0.1:0"',
          `device = "${device}"`,
          'threads = 1',
          `drain_ms = ${drainMs}`,
          `models_dir = [${modelsFolder ? JSON.stringify(modelsFolder) : ''}]`,
          '[engine]',
          'max_context = 2048',
          '[hub]',
          `endpoint = "${endpoint}"`,
          `cache_dir = ${JSON.stringify(cacheFolder)}`,
          `serve = ${serve}`,
        ].join('\n'),
      );
    },
    startGateway: (neuronUrl) =>
      start(
        ['serve'],
        [
          '[gateway]',
          'listen = "127.0.0.1:0"',
          'metrics_listen = "127.0.0.1:0"',
          'poll_interval_ms = 200',
          'poll_timeout_ms = 500',
          '[[neurons]]',
          'name = "one"',
          `endpoint = "${neuronUrl}"`,
        ].join('\n'),
      ),
    async close() {
      for (const daemon of daemons) daemon.kill('SIGKILL');
      await Promise.all(daemons.map(({ ended }) => ended));
      await registry.close();
    },
  };
}

/** Waits until something holds; false when it does not within the time. */
export async function until(holds: () => boolean | Promise<boolean>, timeoutMs = 30_000): Promise<boolean> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; ) {
    if (await holds()) return true;
    await sleep(20);
  }
  return false;
}
