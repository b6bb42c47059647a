import type { IncomingHttpHeaders } from 'node:http';

/** Headers that belong to one connection, not to the message. Source: RFC 9110, 7.6.1. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** The client's secrets end here, and the neuron must not compress or wait. */
const keptFromNeuron = new Set([
  'accept-encoding',
  'authorization',
  'content-length',
  'cookie',
  'expect',
  'host',
  'x-api-key',
  'x-cortex-checkpoints',
  'x-helexa-account-id',
  'x-helexa-key-id',
  'x-request-id',
]);

type Headers = Record<string, string | string[]>;

const endToEnd = (headers: IncomingHttpHeaders, drop: ReadonlySet<string>): Headers => {
  const { connection } = headers;
  // Nearly always it says only whether the connection stays.
  const named =
    connection === undefined || connection === 'keep-alive' || connection === 'close'
      ? hopByHop
      : new Set(connection.split(',').map((name) => name.trim().toLowerCase()));
  // Without a prototype an object is a table from the start: with one, every new set of names would make a class of objects.
  const kept: Headers = Object.create(null);
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined && !hopByHop.has(name) && !drop.has(name) && !named.has(name)) kept[name] = value;
  }
  return kept;
};

/** What a neuron gets of the client's headers. */
export const headersToNeuron = (headers: IncomingHttpHeaders, requestId: string): Headers => {
  const kept = endToEnd(headers, keptFromNeuron);
  kept['x-request-id'] = requestId;
  return kept;
};

/** Which pages may read an answer is the gateway's to say. */
const keptFromClient: ReadonlySet<string> = new Set([
  'access-control-allow-credentials',
  'access-control-allow-origin',
  'access-control-expose-headers',
  'date',
  'x-cortex-checkpoints',
  'x-request-id',
]);

/** What the client gets of a neuron's headers. */
export const headersToClient = (headers: IncomingHttpHeaders): Headers => endToEnd(headers, keptFromClient);
