/** What the benchmark asks for. */
export const benchModel = 'bench/model';
export const benchKey = 'sk-bench-0123456789abcdef0123456789abcdef';

/** Events that a streamed answer has, one in each interval; with none it stays open and silent. */
export const chunksHeader = 'x-bench-chunks';
export const intervalHeader = 'x-bench-interval-ms';

const filler = (length: number): string => 'the quick brown fox jumps over a lazy dog '.repeat(length).slice(0, length);

const chat = (length: number, rest: object): Buffer => {
  const body = {
    model: benchModel,
    messages: [
      { role: 'system', content: 'You are a helpful assistant.' },
      { role: 'user', content: '' },
    ],
    temperature: 0.7,
    max_tokens: 256,
    ...rest,
  };
  const missing = length - Buffer.byteLength(JSON.stringify(body));
  const user = { role: 'user', content: filler(Math.max(0, missing)) };
  return Buffer.from(JSON.stringify({ ...body, messages: [...body.messages.slice(0, -1), user] }));
};

/** One short question: 0.85 KB. */
export const smallBody = chat(850, {});

const streamedChat = chat(850, { stream: true });
const streamedMessages = Buffer.from(
  JSON.stringify({
    model: benchModel,
    max_tokens: 256,
    stream: true,
    messages: [{ role: 'user', content: filler(700) }],
  }),
);

/** A turn of a coding agent: 250 KB with 20 tools and 100 messages. */
export const largeBody = ((): Buffer => {
  const tools = Array.from({ length: 20 }, (_, index) => ({
    type: 'function',
    function: {
      name: `tool_${index}`,
      description: filler(700),
      parameters: {
        type: 'object',
        properties: { path: { type: 'string', description: filler(120) }, line: { type: 'integer' } },
        required: ['path'],
      },
    },
  }));
  const turns = Array.from({ length: 49 }, (_, index) => [
    { role: 'user', content: `turn ${index}\n\t"${filler(1500)}"` },
    { role: 'assistant', content: filler(2800) },
  ]).flat();
  const system = { role: 'system', content: filler(9000) };
  return chat(250_000, { tools, messages: [system, ...turns, { role: 'user', content: '' }] });
})();

/** The bytes of a request to a side. */
export const requestBytes = (
  host: string,
  body: Buffer,
  headers: Readonly<Record<string, string>> = {},
  path = '/v1/chat/completions',
): Buffer =>
  Buffer.concat([
    Buffer.from(
      `POST ${path} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${benchKey}\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\n` +
        `${Object.entries(headers)
          .map(([name, value]) => `${name}: ${value}\r\n`)
          .join('')}\r\n`,
    ),
    body,
  ]);

/** A request for a stream of so many events. */
export const streamBytes = (host: string, chunks: number, intervalMs: number, path?: string): Buffer =>
  requestBytes(
    host,
    // The system text is a field of its own in messages.
    path === '/v1/messages' ? streamedMessages : streamedChat,
    { [chunksHeader]: String(chunks), [intervalHeader]: String(intervalMs) },
    path,
  );
