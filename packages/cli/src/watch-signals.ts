/** What is needed of a process to hear its signals. */
export interface SignalSource {
  on(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  off(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
}

/** Two signals closer than this are one: a terminal delivers Ctrl-C to the whole group, and npm forwards it once more. */
const sameSignalMs = 300;

export interface SignalWatch {
  /** Settles on the first signal. */
  readonly first: Promise<'SIGINT' | 'SIGTERM'>;
  close(): void;
}

/** Watches for SIGINT and SIGTERM: the first asks for an orderly end, the second calls `exitAtOnce` with the exit code. */
export function watchSignals(source: SignalSource, now: () => number, exitAtOnce: (code: number) => void): SignalWatch {
  let firstAt: number | null = null;
  let settle: (signal: 'SIGINT' | 'SIGTERM') => void = () => {};
  const first = new Promise<'SIGINT' | 'SIGTERM'>((resolve) => {
    settle = resolve;
  });
  const hear = (signal: 'SIGINT' | 'SIGTERM', code: number) => () => {
    if (firstAt === null) {
      firstAt = now();
      settle(signal);
    } else if (now() - firstAt >= sameSignalMs) exitAtOnce(code);
  };
  const interrupt = hear('SIGINT', 130);
  const terminate = hear('SIGTERM', 143);
  source.on('SIGINT', interrupt);
  source.on('SIGTERM', terminate);
  return {
    first,
    close() {
      source.off('SIGINT', interrupt);
      source.off('SIGTERM', terminate);
    },
  };
}
