import { Counter, Gauge, type Metric, Registry } from 'prom-client';
import { type GaugeRow, type GaugeSources, gaugeRows } from './gauge-tables.js';
import { type CounterRow, counterRows, type HistogramRow, histogramRows } from './metric-tables.js';
import { QuickCounter, QuickHistogram } from './request-metrics.js';

type LabelOf<Row extends CounterRow> = Row['labels'][number];
type Counters<Rows extends Readonly<Record<string, CounterRow>>> = {
  readonly [Name in keyof Rows]: QuickCounter<LabelOf<Rows[Name]>>;
};
type Histograms<Rows extends Readonly<Record<string, HistogramRow>>> = {
  readonly [Name in keyof Rows]: QuickHistogram<LabelOf<Rows[Name]>>;
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
  for (const row of gaugeRows) register(registry, row, sources);
  /** A registry asks a metric for its name and its values, whatever class it is of. */
  const registered = <Made extends QuickCounter | QuickHistogram>(metric: Made): Made => {
    registry.registerMetric(metric as unknown as Metric);
    return metric;
  };
  return {
    registry,
    ...(mapped(counterRows, (row: CounterRow) => registered(new QuickCounter(row))) as Counters<typeof counterRows>),
    ...(mapped(histogramRows, (row: HistogramRow) => registered(new QuickHistogram(row))) as Histograms<
      typeof histogramRows
    >),
  };
};
