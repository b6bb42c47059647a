/** Counters and histograms that every request or every token touches; what they export is as `prom-client` would have it. */
import { Children, type Labels } from './children.js';
import type { CounterRow, HistogramRow } from './metric-tables.js';

interface Value {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly metricName?: string;
}

/** What a registry reads. */
interface Exported {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'histogram';
  readonly values: readonly Value[];
  readonly aggregator: 'sum';
}

/** One series of a counter. */
export class Count {
  value = 0;

  inc(by = 1): void {
    this.value += by;
  }
}

/** A number that only grows, for each value of its labels. */
export class QuickCounter<Name extends string = string> {
  readonly name: string;
  readonly #row: CounterRow;
  readonly #children: Children<Name, Count>;

  constructor(row: CounterRow) {
    this.name = row.name;
    this.#row = row;
    this.#children = new Children(row.labels as readonly Name[], () => new Count());
  }

  labels(labels: Labels<Name>): Count {
    return this.#children.of(labels);
  }

  inc(labels: Labels<Name>, by = 1): void {
    this.#children.of(labels).inc(by);
  }

  async get(): Promise<Exported> {
    const { name, help } = this.#row;
    const values = [...this.#children.all].map(({ labels, child }) => ({
      labels: labels as Value['labels'],
      value: child.value,
    }));
    return { name, help, type: 'counter', values, aggregator: 'sum' };
  }
}

/** One series of a histogram. */
export class Distribution {
  readonly #bounds: readonly number[];
  /** How many were in each bucket and no lower one; the last is without a bound. */
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] as number)) bucket += 1;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += value;
  }
}

/** How a number was distributed over buckets, for each value of its labels. */
export class QuickHistogram<Name extends string = string> {
  readonly name: string;
  readonly #row: HistogramRow;
  readonly #children: Children<Name, Distribution>;

  constructor(row: HistogramRow) {
    this.name = row.name;
    this.#row = row;
    this.#children = new Children(row.labels as readonly Name[], () => new Distribution(row.buckets));
  }

  labels(labels: Labels<Name>): Distribution {
    return this.#children.of(labels);
  }

  observe(labels: Labels<Name>, value: number): void {
    this.#children.of(labels).observe(value);
  }

  async get(): Promise<Exported> {
    const { name, help, buckets } = this.#row;
    const values = [...this.#children.all].flatMap(({ labels, child }): Value[] => {
      const own = labels as Value['labels'];
      let count = 0;
      const cumulated = child.counts.map((inBucket, index): Value => {
        count += inBucket;
        return { labels: { le: buckets[index] ?? '+Inf', ...own }, value: count, metricName: `${name}_bucket` };
      });
      return [
        ...cumulated,
        { labels: own, value: child.sum, metricName: `${name}_sum` },
        { labels: own, value: count, metricName: `${name}_count` },
      ];
    });
    return { name, help, type: 'histogram', values, aggregator: 'sum' };
  }
}
