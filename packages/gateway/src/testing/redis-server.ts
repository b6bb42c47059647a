import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram, freePort } from '@helexa/core/testing';

export interface RedisServer {
  readonly url: string;
  /** Stops it from answering, without closing a connection. */
  freeze(): void;
  thaw(): void;
  /** Ends it; what it knew is gone. */
  stop(): Promise<void>;
  /** Starts it again under the same address. */
  start(): Promise<void>;
  close(): Promise<void>;
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

/** What a test says where no Redis is installed. */
export const noRedis = 'redis-server is not installed: the shared ledger is not tested on this machine';

/** A real Redis on the loopback address that keeps nothing on disk; undefined where it is not installed. Owner: the caller. */
export const startRedis = async (): Promise<RedisServer | undefined> => {
  const program = findProgram('redis-server') ?? findProgram('valkey-server');
  if (program === undefined) return undefined;
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'redis-'));
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
  const launch = () => spawn(program, args, { stdio: 'ignore' });
  let child: ReturnType<typeof launch> | undefined;
  const stop = async (): Promise<void> => {
    if (!child) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    child = undefined;
  };
  const start = async (): Promise<void> => {
    child = launch();
    while (child.exitCode === null && !(await answers(port))) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    stop,
    start,
    close: async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
};
