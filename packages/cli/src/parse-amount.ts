const units: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
};

/** An amount with a unit, such as '24GiB', '80 GB' or '50GB/s' for the unit 'B/s'; undefined when it is none. */
export function parseAmount(text: string, unit: string): number | undefined {
  const pattern = new RegExp(`^(?<number>\\d+(?:\\.\\d+)?)\\s*(?<prefix>[kmgt]i?)?(?:${unit})?$`, 'i');
  const groups = pattern.exec(text.trim())?.groups;
  const factor = units[(groups?.['prefix'] ?? '').toLowerCase()];
  if (!groups || factor === undefined) return undefined;
  const amount = Number(groups['number']) * factor;
  return amount > 0 && Number.isFinite(amount) ? amount : undefined;
}
