import { get as getPlain } from 'node:http';
import { get as getSecure } from 'node:https';

const timeoutMs = 5000;

/** Whether a daemon of this process answers on its own address, whatever it says. */
export function answers(url: string): Promise<boolean> {
  const get = url.startsWith('https:') ? getSecure : getPlain;
  return new Promise((resolve) => {
    // It is this process: whose certificate it shows is no question here.
    const request = get(url, { agent: false, timeout: timeoutMs, rejectUnauthorized: false }, (response) => {
      response.resume();
      resolve(true);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}
