import { CortexError } from '@helexa/core';
import { causeOf } from './chat-stream.js';

/** A model as the gateway lists it; a gateway may say more. */
export interface ListedModel {
  readonly id: string;
  readonly [field: string]: unknown;
}

/** Gets JSON from a server of ours; every failure is one typed error that names the address. */
export async function getJson(what: string, base: string, path: string, token?: string): Promise<unknown> {
  const url = `${base.replace(/\/+$/, '')}${path}`;
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(url, { headers }).catch((error: Error) => {
    throw new CortexError('endpoint_unreachable', { what, url: base, reason: causeOf(error) }, { cause: error });
  });
  const text = await response.text();
  if (!response.ok)
    throw new CortexError('request_refused', { url, status: response.status, reason: text.slice(0, 600) });
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CortexError(
      'request_refused',
      { url, status: response.status, reason: 'it is no JSON' },
      { cause: error },
    );
  }
}

/** The models that a gateway lists. */
export async function fetchModels(base: string, key?: string): Promise<readonly ListedModel[]> {
  const list = (await getJson('the gateway', base, '/v1/models', key)) as { data?: unknown };
  return Array.isArray(list.data) ? (list.data as ListedModel[]) : [];
}
