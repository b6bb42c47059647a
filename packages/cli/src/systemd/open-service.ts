import { systemClock } from '@helexa/core';
import type { Logger } from 'pino';
import { answers } from './answers.js';
import { sendByHelper } from './notifier.js';
import { SystemdService } from './service.js';

/** This process as a service of systemd, if it is one; `url` is an address of its own that answers while it is well. */
export const openService = (log: Logger, url: string, status: () => string): SystemdService =>
  new SystemdService({
    env: process.env,
    pid: process.pid,
    clock: systemClock,
    log,
    send: sendByHelper(process.env),
    status,
    isAlive: () => answers(url),
  });
