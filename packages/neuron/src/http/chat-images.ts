import type { ImageParameters } from '../vision/image-parameters.js';
import { type PreparedImage, prepareImage } from '../vision/prepare-image.js';
import { expandPrompt, type VisualPrompt } from '../vision/visual-prompt.js';
import { refuseUnless } from './sampling-request.js';

/** Images of one request: they are decoded one after another, and all of them are held until they are features. */
const maxImages = 64;

/** Reads the images of a prompt and makes room for them in it; a prompt without images stays as it is. */
export async function withImages(
  ids: readonly number[],
  urls: readonly string[],
  parameters: ImageParameters | null,
): Promise<{ readonly prompt: readonly number[]; readonly visual: VisualPrompt | null }> {
  if (urls.length === 0 || parameters === null) return { prompt: ids, visual: null };
  refuseUnless(urls.length <= maxImages, 'messages', `it has ${urls.length} images; at most ${maxImages} are read`);
  const images: PreparedImage[] = [];
  for (const url of urls) images.push(await prepareImage(url, parameters));
  return expandPrompt(ids, images, parameters.facts);
}
