import { CortexError } from '@helexa/core';
import type { Exchange } from './exchange.js';

export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Path with `:name` for one segment, and `*name` at the end for all that follow; both arrive URL-decoded. */
  readonly path: string;
  readonly handle: (exchange: Exchange) => Promise<void> | void;
}

export interface RouteMatch {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

/** Finds the route of a request; refuses an unknown path and a method that the path does not have. */
export function matchRoute(routes: readonly Route[], method: string, url: string): RouteMatch {
  const path = url.split('?')[0]!;
  const segments = path.split('/');
  const onPath = routes.flatMap((route) => {
    const params = paramsOf(route.path.split('/'), segments);
    return params ? [{ route, params }] : [];
  });
  if (onPath.length === 0) throw new CortexError('route_not_found', { method, path });
  const wanted = method === 'HEAD' ? 'GET' : method;
  const match = onPath.find(({ route }) => route.method === wanted);
  if (match) return match;
  throw new CortexError('method_not_allowed', { method, path, allowed: onPath.map(({ route }) => route.method) });
}

function paramsOf(pattern: readonly string[], segments: readonly string[]): Record<string, string> | null {
  const hasRest = pattern.at(-1)!.startsWith('*');
  if (hasRest ? segments.length < pattern.length : pattern.length !== segments.length) return null;
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    if (part.startsWith('*')) {
      const rest = segments.slice(index).map(decodeSegment);
      if (rest.includes(null)) return null;
      params[part.slice(1)] = rest.join('/');
      continue;
    }
    const segment = segments[index]!;
    if (!part.startsWith(':')) {
      if (part !== segment) return null;
      continue;
    }
    const value = decodeSegment(segment);
    if (value === null || value === '') return null;
    params[part.slice(1)] = value;
  }
  return params;
}

function decodeSegment(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    // A percent sign without its two digits names nothing.
    return null;
  }
}
