import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { type GaugeRow, type GaugeSources, gaugeRows } from './gauge-tables.js';
import { type CounterRow, counterRows, type HistogramRow, histogramRows } from './metric-tables.js';

type LabelOf<Row extends CounterRow> = Row['labels'][number];
type Counters<Rows extends Readonly<Record<string, CounterRow>>> = {
  readonly [Name in keyof Rows]: Counter<LabelOf<Rows[Name]>>;
};
type Histograms<Rows extends Readonly<Record<string, HistogramRow>>> = {
  readonly [Name in keyof Rows]: Histogram<LabelOf<Rows[Name]>>;
};

/** Every metric of one gateway, in a registry of its own. */
export type Metrics = Counters<typeof counterRows> & Histograms<typeof histogramRows> & { readonly registry: Registry };

const mapped = <Row, Made>(rows: Readonly<Record<string, Row>>, make: (row: Row) => Made): Record<string, Made> =>
  Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, make(row)]));

/** A metric that is read when it is asked for. */
const register = (
  registry: Registry,
  { name, help, labels, isCounter, read }: GaugeRow,
  sources: GaugeSources,
): void => {
  const shared = { name, help, labelNames: [...labels], registers: [registry] };
  if (isCounter) {
    new Counter({
      ...shared,
      collect() {
        this.reset();
        for (const [sampleLabels, value] of read(sources)) this.inc(sampleLabels, value);
      },
    });
    return;
  }
  new Gauge({
    ...shared,
    collect() {
      this.reset();
      for (const [sampleLabels, value] of read(sources)) this.set(sampleLabels, value);
    },
  });
};

/** The metrics of a gateway: what it counts itself, and what is read from elsewhere when it is asked for. */
export const createMetrics = (sources: GaugeSources): Metrics => {
  const registry = new Registry();
  const registers = [registry];
  const shared = ({ name, help, labels }: CounterRow) => ({ name, help, labelNames: [...labels], registers });
  for (const row of gaugeRows) register(registry, row, sources);
  return {
    registry,
    ...(mapped(counterRows, (row: CounterRow) => new Counter(shared(row))) as Counters<typeof counterRows>),
    ...(mapped(
      histogramRows,
      (row: HistogramRow) => new Histogram({ ...shared(row), buckets: [...row.buckets] }),
    ) as Histograms<typeof histogramRows>),
  };
};
