import { LineBatch } from '@helexa/core';
import { type Logger, pino } from 'pino';

/** Lets log lines through, or drops them while a command still reports by itself. */
export interface LogGate {
  isOpen: boolean;
}

/** Logs JSON lines to stderr, so that stdout carries only what a command says. */
export const stderrLogger = (name: string, level: string, gate: LogGate = { isOpen: true }): Logger => {
  const batch = new LineBatch({ write: (lines) => void process.stderr.write(lines), later: setImmediate });
  process.once('exit', () => batch.flush());
  return pino(
    { name, level },
    {
      write: (line: string) => {
        if (gate.isOpen) batch.write(line);
      },
    },
  );
};
