import { type Clock, toOpenAiError } from '@helexa/core';
import type { LoadJob } from '../model/load-job.js';
import { within } from '../model/within.js';
import type { ControlContext } from './control.js';
import { type Exchange, sendJson } from './exchange.js';
import { SseStream } from './sse-stream.js';

/** Events of one job are at least this far apart; the last one is never held back. */
const eventSpacingMs = 250;

/** Whether the client asked for a stream of events. */
export const wantsEvents = ({ request }: Exchange): boolean =>
  (request.headers.accept ?? '').includes('text/event-stream');

/** `GET /jobs`: the loads that run and the last that ended, newest first. */
export function listJobs(exchange: Exchange, { table }: ControlContext): void {
  sendJson(exchange, 200, { jobs: table.jobs.jobs.map((job) => job.view()) });
}

/** `GET /jobs/:id`: how far a load is, once or as a stream of events. */
export async function showJob(exchange: Exchange, { table, clock }: ControlContext): Promise<void> {
  const job = table.jobs.get(exchange.params['id']!);
  if (wantsEvents(exchange)) await streamJob(exchange, job, clock);
  else sendJson(exchange, 200, job.view());
}

/** `DELETE /jobs/:id`: gives a load up and answers when it is over; one that has ended stays as it is. */
export async function cancelJob(exchange: Exchange, { table }: ControlContext): Promise<void> {
  const job = table.jobs.get(exchange.params['id']!);
  if (!job.isEnded) await table.cancel(job);
  sendJson(exchange, 200, job.view());
}

/** The job's changes as events until it ends: `[DONE]` when the model is loaded, the error and no end mark otherwise. */
export async function streamJob({ response, signal }: Exchange, job: LoadJob, clock: Clock): Promise<void> {
  const stream = new SseStream(response, clock, signal);
  const gone = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  while (!signal.aborted) {
    const isEnded = job.isEnded;
    const changed = job.nextChange();
    await stream.send(job.view());
    if (isEnded) break;
    await Promise.race([changed, gone]);
    if (!job.isEnded) await within(clock, eventSpacingMs, Promise.race([job.outcome().catch(() => undefined), gone]));
  }
  const { error } = job;
  if (error) await stream.fail(toOpenAiError(error, 'neuron').body);
  else await stream.finish();
}
