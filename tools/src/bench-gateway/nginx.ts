import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { cores, PinnedProcess } from './pinned-process.js';

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => socket.destroy()).once('close', (hadError) => resolve(!hadError));
    socket.once('error', () => {});
  });

/** As little as a proxy of streams can be: one process, one upstream, nothing buffered, a log. */
const configOf = (folder: string, port: number, upstream: string): string => `
daemon off; master_process off; pid ${join(folder, 'nginx.pid')}; error_log stderr warn;
worker_rlimit_nofile 16384;
events { worker_connections 8000; }
http {
  access_log ${join(folder, 'access.log')} combined buffer=64k;
  client_body_temp_path ${join(folder, 'body')}; proxy_temp_path ${join(folder, 'proxy')};
  fastcgi_temp_path ${join(folder, 'a')}; uwsgi_temp_path ${join(folder, 'b')}; scgi_temp_path ${join(folder, 'c')};
  keepalive_requests 10000000; client_max_body_size 32m; client_body_buffer_size 1m; tcp_nodelay on;
  upstream neuron { server ${new URL(upstream).host}; keepalive 256; keepalive_requests 10000000; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://neuron; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 300s; }
  }
}
`;

/** Starts nginx on the core of the proxies; undefined when this machine has none. */
export const startNginx = async (
  binary: string,
  folder: string,
  upstream: string,
): Promise<{ readonly url: string; readonly process: PinnedProcess } | undefined> => {
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  writeFileSync(config, configOf(folder, port, upstream));
  const nginx = PinnedProcess.start(cores.proxy, [binary, '-c', config, '-p', folder], join(folder, 'nginx.log'));
  for (let attempt = 0; attempt < 100; attempt++) {
    if (await answers(port)) return { url: `http://127.0.0.1:${port}`, process: nginx };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await nginx.close();
  return undefined;
};
