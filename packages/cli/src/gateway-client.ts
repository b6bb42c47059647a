import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { CortexError } from '@helexa/core';
import { causeOf } from './chat-stream.js';

/** A model as the gateway lists it; a gateway may say more. */
export interface ListedModel {
  readonly id: string;
  readonly [field: string]: unknown;
}

/** What a server wants to see, and what it is checked by. */
export interface Access {
  /** Sent as a bearer token. */
  readonly token?: string | undefined;
  /** PEM of what its certificate is checked against; what the system trusts when absent. */
  readonly ca?: string | undefined;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Posts the body, or gets where there is none. */
const send = (url: string, { token, ca }: Access, body: unknown): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const headers = {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const open = url.startsWith('https:') ? httpsRequest : httpRequest;
    const method = body === undefined ? 'GET' : 'POST';
    const request = open(url, { method, headers, ...(ca === undefined ? {} : { ca }) }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });

const askJson = async (what: string, base: string, path: string, access: Access, body?: unknown): Promise<unknown> => {
  const url = `${base.replace(/\/+$/, '')}${path}`;
  const { status, text } = await send(url, access, body).catch((error: Error) => {
    throw new CortexError('endpoint_unreachable', { what, url: base, reason: causeOf(error) }, { cause: error });
  });
  if (status < 200 || status > 299)
    throw new CortexError('request_refused', { url, status, reason: text.slice(0, 600) });
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CortexError('request_refused', { url, status, reason: 'it is no JSON' }, { cause: error });
  }
};

/** Gets JSON from a server of ours; every failure is one typed error that names the address. */
export const getJson = (what: string, base: string, path: string, access: Access = {}): Promise<unknown> =>
  askJson(what, base, path, access);

/** Posts JSON to a server of ours and reads its answer; fails as `getJson` does. */
export const postJson = (
  what: string,
  base: string,
  path: string,
  body: object,
  access: Access = {},
): Promise<unknown> => askJson(what, base, path, access, body);

/** The models that a gateway lists. */
export async function fetchModels(base: string, key?: string): Promise<readonly ListedModel[]> {
  const list = (await getJson('the gateway', base, '/v1/models', { token: key })) as { data?: unknown };
  return Array.isArray(list.data) ? (list.data as ListedModel[]) : [];
}
