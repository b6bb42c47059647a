import { bodyError, type CortexError, toOpenAiError } from '@helexa/core';
import { z } from 'zod';
import { type Catalogue, resolveAlias } from '../catalogue/catalogue.js';
import { readBody } from '../http/read-body.js';
import { sendJson } from '../http/respond.js';
import type { Handler } from '../http/router.js';
import { checkScope } from '../keys/key-ring.js';
import { checkMediaType, parseJsonBody } from '../proxy/read-model.js';
import type { Broker } from '../router/broker.js';

const planRequest = z.looseObject({ model: z.string().min(1) });
const longestBodyBytes = 1 << 20;

/** What a request would be answered with, as its client would read it. */
const refusalOf = (error: CortexError) => {
  const { status, body, headers } = toOpenAiError(error, 'gateway');
  const seconds = headers['retry-after'];
  return { ...body.error, status, retry_after: seconds === undefined ? null : Number(seconds) };
};

/** `POST /fleet/plan`: what a request for a model would cause, without doing any of it. */
export const planHandler =
  ({ broker, catalogue }: { readonly broker: Broker; readonly catalogue: () => Catalogue }): Handler =>
  async (exchange) => {
    const { request, response, principal } = exchange;
    checkMediaType(request.headers['content-type']);
    const parsed = planRequest.safeParse(parseJsonBody(await readBody(exchange, longestBodyBytes)));
    if (!parsed.success) throw bodyError(parsed.error.issues);
    const model = resolveAlias(catalogue(), parsed.data.model);
    checkScope(principal, parsed.data.model, model);
    const { action, node, readyOn, evicts, behind, expectedMs, why, error } = broker.plan(model);
    sendJson(response, 200, {
      model,
      action,
      node,
      ready_on: readyOn,
      evicts,
      behind,
      expected_ms: expectedMs === null ? null : Math.round(expectedMs),
      why,
      refusal: error && refusalOf(error),
    });
  };
