import type { AnthropicCountRequest } from '@helexa/core';

/** One line that names a client's version and a number drawn per request; a coding agent puts it before its system prompt. */
const billingLine = /^x-anthropic-billing-header:[^\r\n]*$/;

/**
 * The request without the block that is nothing but a billing header. It is data for a transport, not words for a model, and as
 * it differs in every request it would make each prompt new from its first token. Every other block stays as it is.
 */
export const withoutBillingHeader = <Request extends Pick<AnthropicCountRequest, 'system'>>(
  request: Request,
): { readonly request: Request; readonly isStripped: boolean } => {
  const { system } = request;
  if (!Array.isArray(system) || !system[0] || !billingLine.test(system[0].text)) return { request, isStripped: false };
  return { request: { ...request, system: system.slice(1) }, isStripped: true };
};
