/** Strings of a format as regular expressions; where the two differ, the expression is the narrower. */
const hours = '(?:[01]\\d|2[0-3]):[0-5]\\d';
const leapYear = '(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:0[048]|[2468][048]|[13579][26])00)';
const monthAndDay =
  '(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))';
const date = `(?:\\d{4}-${monthAndDay}|${leapYear}-02-29)`;
const time = `${hours}:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-]${hours})`;
const label = '[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*';
/** A label has at most 63 characters; names of formats that say so are kept shorter. */
const shortLabel = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?';
const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const group = '[0-9A-Fa-f]{1,4}';
const ipv6 = [
  `(?:${group}:){7}${group}`,
  `(?:${group}:){1,7}:`,
  ...Array.from({ length: 6 }, (_, index) => `(?:${group}:){1,${6 - index}}(?::${group}){1,${index + 1}}`),
  `:(?::${group}){1,7}`,
  '::',
].join('|');
const pathCharacter = "(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*";
const queryCharacter = "(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*";
const clock = 'T(?:\\d{1,9}H(?:\\d{1,9}M(?:\\d{1,9}S)?)?|\\d{1,9}M(?:\\d{1,9}S)?|\\d{1,9}S)';
const calendar = '(?:\\d{1,9}Y(?:\\d{1,9}M(?:\\d{1,9}D)?)?|\\d{1,9}M(?:\\d{1,9}D)?|\\d{1,9}D)';

export const stringFormats: Readonly<Record<string, string>> = {
  date: `^${date}$`,
  time: `^${time}$`,
  'date-time': `^${date}T${time}$`,
  duration: `^P(?:\\d{1,9}W|${calendar}(?:${clock})?|${clock})$`,
  uuid: '^[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$',
  email: `^[A-Za-z0-9_+-]+(?:\\.[A-Za-z0-9_+-]+)*@(?:${label}\\.)+[A-Za-z]{2,24}$`,
  hostname: `^${shortLabel}(?:\\.${shortLabel}){0,3}$`,
  ipv4: `^${octet}(?:\\.${octet}){3}$`,
  ipv6: `^(?:${ipv6})$`,
  uri: `^[A-Za-z][A-Za-z0-9+.-]*://${label}(?:\\.${label})*(?::\\d{1,5})?(?:/${pathCharacter})?(?:\\?${queryCharacter})?(?:#${queryCharacter})?$`,
};

/** Formats of numbers that say a range; the last int64 that a float64 holds is the upper bound. */
export const numberFormats: Readonly<Record<string, readonly [min: number, max: number]>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  int64: [-(2 ** 63), 2 ** 63 - 1024],
};

/** Formats that say nothing about the text of a value. */
export const idleFormats: ReadonlySet<string> = new Set(['float', 'double', 'password']);
