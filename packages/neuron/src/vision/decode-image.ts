import { CortexError } from '@helexa/core';
import type { RgbImage } from './resample.js';

/** What an image of a request may be, beyond the limit of the whole body. */
const kinds: ReadonlySet<string> = new Set(['png', 'jpeg', 'webp', 'gif']);
/** A file of a few kilobytes may claim any size: beyond this nothing is decoded. */
const maxDecodedPixels = 2 ** 26;

const dataUri = /^data:image\/([a-z0-9.+-]+);base64,([A-Za-z0-9+/=_\s-]*)$/;

/** The bytes of a data URI; other addresses are refused: a server does not fetch what a stranger names. */
export function readDataUri(url: string): Buffer {
  const refuse = (reason: string): never => {
    throw new CortexError('image_invalid', { reason });
  };
  if (!url.startsWith('data:')) refuse(`its address is not a data URI; 'data:image/png;base64,...' is wanted`);
  const [, kind, text] = dataUri.exec(url) ?? [];
  if (kind === undefined || text === undefined)
    return refuse(`it is not a base64 data URI of an image; 'data:image/png;base64,...' is wanted`);
  if (!kinds.has(kind === 'jpg' ? 'jpeg' : kind))
    refuse(`images of type '${kind}' are not read; ${[...kinds].join(', ')} are`);
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length === 0) refuse('it is empty');
  return bytes;
}

/** Decodes an image to red, green and blue: turned as its camera says, on white where it is transparent, first frame only. */
export async function decodeImage(bytes: Uint8Array): Promise<RgbImage> {
  const { default: sharp } = await import('sharp');
  try {
    const source = sharp(bytes, { limitInputPixels: maxDecodedPixels, failOn: 'error', pages: 1 });
    const { format } = await source.metadata();
    if (!kinds.has(format))
      throw new CortexError('image_invalid', { reason: `files of type '${format}' are not read` });
    const { data, info } = await source
      .autoOrient()
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3)
      throw new CortexError('image_invalid', {
        reason: `it has ${info.channels} channels; red, green and blue are wanted`,
      });
    return { data, height: info.height, width: info.width };
  } catch (cause) {
    if (CortexError.isInstance(cause)) throw cause;
    throw new CortexError('image_invalid', { reason: (cause as Error).message.split('\n')[0]! }, { cause });
  }
}
