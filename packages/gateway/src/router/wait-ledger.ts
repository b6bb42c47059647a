/** A part of a wait: why, behind whom, and how long. */
export interface WaitPart {
  readonly why: string;
  /** Model, and neuron where there is one, that was waited for. */
  readonly behind: string | undefined;
  readonly ms: number;
}

/** What may stand in a quoted string of a header. */
const quoted = (text: string): string => `"${text.replace(/["\\]|[^\x20-\x7e]/g, '')}"`;

/** Where the time of one request went until its answer began. The parts add up to the time since the request was first asked for. */
export class WaitLedger {
  readonly #now: () => number;
  readonly #parts: WaitPart[] = [];
  #sinceMs: number;
  #answeredMs: number | undefined;

  constructor(now: () => number) {
    this.#now = now;
    this.#sinceMs = now();
  }

  /** A place was found, after these waits. */
  waited(parts: readonly WaitPart[]): void {
    this.#parts.push(...parts);
  }

  /** A neuron was asked. */
  asked(): void {
    this.#sinceMs = this.#now();
    this.#answeredMs = undefined;
  }

  /** It has begun to answer. */
  answered(): void {
    this.#answeredMs ??= this.#now();
  }

  /** It has failed: what it took is lost. */
  failed(node: string): void {
    this.#parts.push({ why: 'retry', behind: node, ms: this.#now() - this.#sinceMs });
  }

  /** As a `server-timing` header. `connect` ends with the first header of the neuron, `first-byte` with what the client gets. */
  header(): string {
    const answeredMs = this.#answeredMs ?? this.#now();
    const all: WaitPart[] = [
      ...this.#parts,
      { why: 'connect', behind: undefined, ms: answeredMs - this.#sinceMs },
      { why: 'first-byte', behind: undefined, ms: this.#now() - answeredMs },
    ];
    return all
      .map(({ why, behind, ms }) => {
        const desc = behind === undefined ? '' : `;desc=${quoted(behind)}`;
        return `${why};dur=${Math.round(ms * 1000) / 1000}${desc}`;
      })
      .join(', ');
  }
}
