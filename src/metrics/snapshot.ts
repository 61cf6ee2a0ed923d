import { Counter, Gauge, Histogram } from 'prom-client';
import type { CounterConfiguration, GaugeConfiguration, HistogramConfiguration } from 'prom-client';

/** One value of a metric. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

type Values<T extends { get(): Promise<unknown> }> = Awaited<ReturnType<T['get']>>;

/** A counter that somebody else has counted: its values are read when it is scraped. */
export class SnapshotCounter extends Counter {
  readonly #read: () => Sample[];

  constructor(configuration: CounterConfiguration<string>, read: () => Sample[]) {
    super(configuration);
    this.#read = read;
  }

  override async get(): Promise<Values<Counter>> {
    return { ...(await super.get()), values: this.#read() };
  }
}

/** A gauge that is read when it is scraped. */
export class SnapshotGauge extends Gauge {
  readonly #read: () => Sample[];

  constructor(configuration: GaugeConfiguration<string>, read: () => Sample[]) {
    super(configuration);
    this.#read = read;
  }

  override async get(): Promise<Values<Gauge>> {
    return { ...(await super.get()), values: this.#read() };
  }
}

/** A histogram whose buckets somebody else has filled: `counts` has one more than there are bounds, and is not cumulative. */
export class SnapshotHistogram extends Histogram {
  readonly #read: () => { readonly counts: readonly number[]; readonly sum: number };
  readonly #configuration: HistogramConfiguration<string> & { readonly buckets: number[] };

  constructor(
    configuration: HistogramConfiguration<string> & { readonly buckets: number[] },
    read: () => { readonly counts: readonly number[]; readonly sum: number },
  ) {
    super(configuration);
    this.#read = read;
    this.#configuration = configuration;
  }

  /** What a registry asks a histogram for, and what its `get` is made from. */
  async getForPromString(): Promise<object> {
    const { name, help, buckets } = this.#configuration;
    const { counts, sum } = this.#read();
    let total = 0;
    const values: object[] = [...buckets, '+Inf'].map((le, i) => {
      total += counts[i] ?? 0;
      return { metricName: `${name}_bucket`, labels: { le }, value: total };
    });
    values.push(
      { metricName: `${name}_sum`, labels: {}, value: sum },
      { metricName: `${name}_count`, labels: {}, value: total },
    );
    return { name, help, type: 'histogram', values, aggregator: 'sum' };
  }
}
