import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CortexError } from '@helexa/core';
import { JinjaTemplate } from '@helexa/neuron';
import { z } from 'zod';

/** One rendering by an independent implementation: the text, or the error that it raised. */
const templateCase = z.object({
  template: z.string().regex(/^[\w.-]+$/),
  case: z.string(),
  context: z.looseObject({ date_string: z.string().optional() }),
  expected: z.string().optional(),
  error: z.string().optional(),
});

/** A template's cases, and the names of those that differ. */
export interface TemplateFinding {
  readonly template: string;
  readonly cases: number;
  readonly failed: readonly string[];
}

/** Whether a path is a folder of chat templates with their `cases.json`, rather than of models. */
export const holdsTemplates = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true && existsSync(join(path, 'cases.json'));

/** Renders every case of a folder of `<name>.jinja` files; throws `checkpoint_invalid` when its `cases.json` is none. */
export function checkTemplates(folder: string): readonly TemplateFinding[] {
  const file = join(folder, 'cases.json');
  const parsed = z.array(templateCase).safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (!parsed.success)
    throw new CortexError('checkpoint_invalid', { file: basename(file), reason: z.prettifyError(parsed.error) });
  const groups = new Map<string, z.infer<typeof templateCase>[]>();
  for (const one of parsed.data) groups.set(one.template, [...(groups.get(one.template) ?? []), one]);
  return [...groups].map(([template, cases]) => {
    const text = readFileSync(join(folder, `${template}.jinja`), 'utf8');
    return { template, cases: cases.length, failed: cases.filter((one) => !agrees(text, one)).map((one) => one.case) };
  });
}

function agrees(text: string, { template, context, expected, error }: z.infer<typeof templateCase>): boolean {
  // The day on which the expectation was rendered stands in its context.
  const now = () => new Date(context.date_string ?? 0);
  const jinja = new JinjaTemplate(text, template);
  try {
    return jinja.render(context, { now }) === expected;
  } catch (raised) {
    if (!CortexError.isInstance(raised) || raised.code !== 'template_render_failed') throw raised;
    return error !== undefined;
  }
}
