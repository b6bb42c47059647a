import { type Logger, pino } from 'pino';

/** Logs JSON lines to stderr, so that stdout carries only what a command says. */
export const stderrLogger = (name: string, level: string): Logger =>
  pino({ name, level }, pino.destination({ dest: 2, sync: true }));
