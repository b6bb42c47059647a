import { CortexError } from '@helexa/core';
import type { LoadJob } from './load-job.js';

/** Loads that ended and can still be asked about. */
const keptJobs = 64;

/** The loads of this neuron by id: all that run, and the last that ended. */
export class JobBoard {
  readonly #jobs = new Map<string, LoadJob>();

  /** Newest first. */
  get jobs(): readonly LoadJob[] {
    return [...this.#jobs.values()].reverse();
  }

  add(job: LoadJob): void {
    this.#jobs.set(job.id, job);
    const ended = [...this.#jobs.values()].filter(({ isEnded }) => isEnded);
    for (const old of ended.slice(0, Math.max(0, ended.length - keptJobs))) this.#jobs.delete(old.id);
  }

  /** Throws `job_not_found`. */
  get(id: string): LoadJob {
    const job = this.#jobs.get(id);
    if (!job) throw new CortexError('job_not_found', { job: id });
    return job;
  }
}
