import type { HubServer } from '../sources/hub-server.js';
import { chatCompletions } from './chat-completions.js';
import { completions } from './completions.js';
import {
  type ControlContext,
  listModels,
  listOpenAiModels,
  loadModelRoute,
  modelCapabilities,
  modelEndpoint,
  openAiModel,
  unloadModelRoute,
} from './control.js';
import { embeddings } from './embeddings.js';
import type { InferenceContext } from './generation-run.js';
import { discovery, health, ready, version } from './host.js';
import { cancelJob, listJobs, showJob } from './jobs.js';
import type { NeuronMetrics } from './metrics.js';
import type { Route } from './router.js';
import { detokenize, tokenize } from './tokenize.js';

/** Every route of a neuron. */
export function neuronRoutes(
  inference: InferenceContext,
  control: ControlContext,
  metrics: NeuronMetrics,
  hub: HubServer | null = null,
): Route[] {
  return [
    ...(hub ? hubRoutes(hub) : []),
    { method: 'POST', path: '/v1/chat/completions', handle: (exchange) => chatCompletions(exchange, inference) },
    { method: 'POST', path: '/v1/completions', handle: (exchange) => completions(exchange, inference) },
    { method: 'POST', path: '/v1/embeddings', handle: (exchange) => embeddings(exchange, inference) },
    { method: 'POST', path: '/tokenize', handle: (exchange) => tokenize(exchange, inference) },
    { method: 'POST', path: '/detokenize', handle: (exchange) => detokenize(exchange, inference) },
    { method: 'GET', path: '/v1/models', handle: (exchange) => listOpenAiModels(exchange, control) },
    { method: 'GET', path: '/v1/models/:id', handle: (exchange) => openAiModel(exchange, control) },
    { method: 'GET', path: '/models', handle: (exchange) => listModels(exchange, control) },
    { method: 'POST', path: '/models/load', handle: (exchange) => loadModelRoute(exchange, control) },
    { method: 'POST', path: '/models/unload', handle: (exchange) => unloadModelRoute(exchange, control) },
    { method: 'GET', path: '/jobs', handle: (exchange) => listJobs(exchange, control) },
    { method: 'GET', path: '/jobs/:id', handle: (exchange) => showJob(exchange, control) },
    { method: 'DELETE', path: '/jobs/:id', handle: (exchange) => cancelJob(exchange, control) },
    { method: 'GET', path: '/models/:id/endpoint', handle: (exchange) => modelEndpoint(exchange, control) },
    { method: 'GET', path: '/models/:id/capabilities', handle: (exchange) => modelCapabilities(exchange, control) },
    { method: 'GET', path: '/discovery', handle: (exchange) => discovery(exchange, control) },
    { method: 'GET', path: '/ready', handle: (exchange) => ready(exchange, control) },
    { method: 'GET', path: '/health', handle: (exchange) => health(exchange, control) },
    { method: 'GET', path: '/version', handle: (exchange) => version(exchange, control) },
    {
      method: 'GET',
      path: '/metrics',
      handle: async ({ response }) => {
        const text = await metrics.registry.metrics();
        response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text);
      },
    },
  ];
}

/** Routes of a neuron that lends its cache. */
function hubRoutes(hub: HubServer): Route[] {
  return [
    { method: 'GET', path: '/api/models/:org/:name', handle: (exchange) => hub.listing(exchange) },
    { method: 'GET', path: '/api/models/:org/:name/revision/:rev', handle: (exchange) => hub.listing(exchange) },
    { method: 'GET', path: '/:org/:name/resolve/:rev/*file', handle: (exchange) => hub.file(exchange) },
  ];
}
