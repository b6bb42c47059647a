/** A host and a TCP port; port 0 asks the system for a free one. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const pattern = /^(?:\[(?<six>[0-9a-fA-F:.]+)\]|(?<host>[A-Za-z0-9.-]+)):(?<port>\d{1,5})$/;

/** Parses `host:port` or `[v6]:port`; undefined when it is neither. */
export const parseAddress = (text: string): Address | undefined => {
  const groups = pattern.exec(text)?.groups;
  if (!groups) return undefined;
  const port = Number(groups['port']);
  if (port > 65_535) return undefined;
  return { host: groups['six'] ?? (groups['host'] as string), port };
};

/** Whether only this host can reach an address. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127(?:\.\d+){3}$/.test(host);

/** `host:port` as it stands in a URL. */
export const formatAddress = ({ host, port }: Address): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
