import { connect, type Socket } from 'node:net';

/** A connection to a server, without anybody's idea of HTTP in between. */
export const openRaw = (url: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname, () => resolve(socket));
    socket.once('error', reject);
  });

/** All that a server says to these bytes on a connection of their own, until it closes it. */
export const sayRaw = async (url: string, bytes: string | Buffer): Promise<string> => {
  const socket = await openRaw(url);
  socket.write(bytes);
  let said = '';
  socket.on('data', (chunk) => {
    said += String(chunk);
  });
  return await new Promise((resolve) => {
    // A server that has said all may reset what it does not want to read.
    socket.on('error', () => {});
    socket.on('close', () => resolve(said));
  });
};
