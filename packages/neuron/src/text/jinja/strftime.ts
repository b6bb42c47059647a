const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

const pad = (value: number, width = 2, fill = '0') => String(value).padStart(width, fill);

/** Formats local time by C's directives, in English; an unknown directive stays as it is written. */
export function strftime(date: Date, format: string): string {
  return format.replace(/%(-?)([a-zA-Z%])/g, (whole, plain: string, directive: string) => {
    const text = directives[directive]?.(date);
    if (text === undefined) return whole;
    return plain === '-' ? text.replace(/^[0 ]+(?=\d)/, '') : text;
  });
}

const hour12 = (date: Date) => date.getHours() % 12 || 12;

function dayOfYear(date: Date): number {
  return Math.round(
    (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 0)) / 86_400_000,
  );
}

const directives: Readonly<Record<string, (date: Date) => string>> = {
  a: (d) => days[d.getDay()]!.slice(0, 3),
  A: (d) => days[d.getDay()]!,
  b: (d) => months[d.getMonth()]!.slice(0, 3),
  B: (d) => months[d.getMonth()]!,
  d: (d) => pad(d.getDate()),
  e: (d) => pad(d.getDate(), 2, ' '),
  D: (d) => strftime(d, '%m/%d/%y'),
  F: (d) => strftime(d, '%Y-%m-%d'),
  H: (d) => pad(d.getHours()),
  I: (d) => pad(hour12(d)),
  j: (d) => pad(dayOfYear(d), 3),
  m: (d) => pad(d.getMonth() + 1),
  M: (d) => pad(d.getMinutes()),
  p: (d) => (d.getHours() < 12 ? 'AM' : 'PM'),
  R: (d) => strftime(d, '%H:%M'),
  S: (d) => pad(d.getSeconds()),
  T: (d) => strftime(d, '%H:%M:%S'),
  w: (d) => String(d.getDay()),
  y: (d) => pad(d.getFullYear() % 100),
  Y: (d) => String(d.getFullYear()),
  '%': () => '%',
};
