import type { IncomingMessage } from 'node:http';
import { CortexError } from '@helexa/core';
import type { Principal } from '../keys/key-ring.js';
import type { StopSignal } from '../proxy/stop.js';
import type { ClientResponse } from './client-response.js';

/** One request and its answer, with what every handler needs. */
export interface Exchange {
  readonly id: string;
  readonly request: IncomingMessage;
  readonly response: ClientResponse;
  /** On whose behalf it is made; absent for nobody in particular. */
  readonly principal?: Principal | undefined;
  readonly path: string;
  /** Aborted when the client leaves, or with an error when the gateway has to end the exchange. */
  readonly signal: StopSignal;
  /** Facts for the log line of this request. */
  readonly facts: Record<string, unknown>;
}

export type Handler = (exchange: Exchange) => void | Promise<void>;

/** Handlers by path, then by method; a path that ends with `/*` is that of everything below it. */
export type Routes = Readonly<Record<string, Readonly<Record<string, Handler>>>>;

/** The entry of the table that a path belongs to: its own, or the one above it that ends with a star. */
export const routeOf = (routes: Routes, path: string): string | undefined => {
  if (Object.hasOwn(routes, path)) return path;
  return Object.keys(routes).find((route) => route.endsWith('/*') && path.startsWith(route.slice(0, -1)));
};

/** Methods that a path has; none for an unknown one. */
export const allowedMethods = (routes: Routes, path: string): readonly string[] =>
  Object.keys(routes[routeOf(routes, path) ?? ''] ?? {});

/** Finds the handler of a request. A HEAD request is a GET whose body is not sent. */
export const findHandler = (routes: Routes, method: string, path: string): Handler => {
  const route = routeOf(routes, path);
  const byMethod = route === undefined ? undefined : routes[route];
  if (!byMethod) throw new CortexError('route_not_found', { method, path });
  const wanted = method === 'HEAD' ? 'GET' : method;
  const handler = Object.hasOwn(byMethod, wanted) ? byMethod[wanted] : undefined;
  if (!handler) throw new CortexError('method_not_allowed', { method, path, allowed: Object.keys(byMethod) });
  return handler;
};
