import { z } from 'zod';
import { parseAddress } from './address.js';

/** An address to listen on, checked here and parsed where it is used. */
export const listenAddress = z
  .string()
  .refine((text) => parseAddress(text) !== undefined, { error: "'host:port' is wanted, such as '127.0.0.1:31313'" });

/** A secret that is sent in a header. */
export const sharedToken = z
  .string()
  .regex(/^[\x21-\x7e]{8,512}$/, { error: 'at least 8 printable characters without spaces are wanted' });

/** Base URL of an HTTP server, without a trailing slash. */
export const serverEndpoint = z
  .string()
  .refine((text) => /^https?:\/\/[^\s?#@]*[^\s?#@/]$/.test(text) && URL.canParse(text), {
    error: "a base URL is wanted, such as 'http://127.0.0.1:13131'",
  });

/** How much is logged. */
export const logSchema = z
  .strictObject({ level: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info') })
  .prefault({});

/** Requests carry images in base64, so the bound is large; it is still a bound. */
export const bodyLimitBytes = z.int().min(1024).max(1_073_741_824).default(67_108_864);
