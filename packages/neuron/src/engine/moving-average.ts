/** An exponentially weighted average of samples; null before the first. */
export class MovingAverage {
  readonly #weight: number;
  #value: number | null = null;

  /** `weight` of a new sample, 0 to 1. */
  constructor(weight: number) {
    this.#weight = weight;
  }

  get value(): number | null {
    return this.#value;
  }

  add(sample: number): void {
    this.#value = this.#value === null ? sample : this.#value + this.#weight * (sample - this.#value);
  }
}
