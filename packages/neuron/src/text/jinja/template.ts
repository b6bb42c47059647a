import { CortexError } from '@helexa/core';
import type { Statement } from './ast.js';
import { evaluateTemplate } from './evaluator.js';
import { filters } from './filters.js';
import { makeGlobals } from './globals.js';
import { parseTemplate } from './parser.js';
import { defaultRenderLimits, type RenderLimits, Runtime } from './runtime.js';
import { tests } from './tests.js';
import { fromData, type Value } from './values.js';

const maxTemplateCharacters = 1024 * 1024;

/**
 * A Jinja template as chat templates use the language: Python's printing, block trimming, a sandbox without access to
 * anything but its variables, and a bound on what one rendering may cost.
 */
export class JinjaTemplate {
  readonly source: string;
  readonly #body: readonly Statement[];

  /** `source` names the template in errors. Throws `template_invalid`. */
  constructor(template: string, source: string) {
    this.source = source;
    if (template.length > maxTemplateCharacters) {
      const reason = `it has ${template.length} characters; at most ${maxTemplateCharacters} are read`;
      throw new CortexError('template_invalid', { source, line: 1, reason });
    }
    this.#body = parseTemplate(template, source, {
      filters: new Set(filters.keys()),
      tests: new Set(tests.keys()),
    });
  }

  /** Renders over JSON-like variables. Throws `template_render_failed`. */
  render(
    variables: Readonly<Record<string, unknown>>,
    options: { readonly now: () => Date; readonly limits?: RenderLimits },
  ): string {
    const runtime = new Runtime(this.source, options.now, options.limits ?? defaultRenderLimits);
    const values = new Map<string, Value>();
    for (const [name, data] of Object.entries(variables)) {
      if (data !== undefined) values.set(name, fromData(data, runtime));
    }
    try {
      return evaluateTemplate(this.#body, values, makeGlobals(runtime), runtime);
    } catch (error) {
      // Deep nesting can exhaust the stack before the depth limit is met.
      if (error instanceof RangeError) throw runtime.fail('it is nested too deep', error);
      throw error;
    }
  }
}
