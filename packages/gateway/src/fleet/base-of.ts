/** The address of a server in its parts; every path of ours begins with the version that many such addresses end with. */
export const baseOf = (
  endpoint: string,
): { readonly base: string; readonly origin: string; readonly prefix: string } => {
  const { origin, pathname } = new URL(endpoint);
  const prefix = pathname.replace(/\/(?:v1)?$/, '');
  return { base: origin + prefix, origin, prefix };
};
