import { join } from 'node:path';
import { CortexError } from '@helexa/core';
import { type Command, Plugin } from '@oclif/core';

type Flag = Command.Flag.Cached;

/** The reference page of the command line: read from the compiled commands themselves. */
export async function renderCliPage(root: string): Promise<string> {
  const plugin = new Plugin({ root: join(root, 'packages', 'cli'), ignoreManifest: true, errorOnManifestCreate: true });
  await plugin.load();
  const commands = plugin.commands.filter((command) => !command.hidden).sort((a, b) => (a.id < b.id ? -1 : 1));
  if (commands.length === 0) throw new CortexError('internal_error', { reason: 'the command line has no commands' });
  return ['# Command line', '', ...commands.map(renderCommand)].join('\n');
}

function renderCommand(command: Command.Loadable): string {
  const args = Object.values(command.args);
  const flags = Object.values(command.flags).filter((flag) => !flag.hidden);
  const usage = args.map(({ name, required }) => (required ? ` ${name.toUpperCase()}` : ` [${name.toUpperCase()}]`));
  const lines = [`## cortex ${command.id.replaceAll(':', ' ')}`, ''];
  if (command.summary !== undefined) lines.push(command.summary, '');
  if (command.description !== undefined) lines.push(command.description.trim(), '');
  lines.push(
    '```sh',
    `cortex ${command.id.replaceAll(':', ' ')}${usage.join('')}${flags.length > 0 ? ' [flags]' : ''}`,
    '```',
    '',
  );
  if (args.length > 0) {
    lines.push('| argument | meaning |', '|---|---|');
    for (const arg of args) lines.push(`| \`${arg.name.toUpperCase()}\` | ${cell(arg.description ?? '')} |`);
    lines.push('');
  }
  if (flags.length > 0) {
    lines.push('| flag | default | meaning |', '|---|---|---|');
    for (const flag of flags) lines.push(renderFlag(flag));
    lines.push('');
  }
  return lines.join('\n');
}

function renderFlag(flag: Flag): string {
  const short = flag.char === undefined ? '' : `\`-${flag.char}\`, `;
  const options = flag.type === 'option' && flag.options ? ` (${flag.options.map((o) => `\`${o}\``).join(' ')})` : '';
  const value = flag.type === 'option' ? ' VALUE' : '';
  const fallback =
    flag.type === 'option' && ['string', 'number'].includes(typeof flag.default) ? `\`${flag.default}\`` : '';
  return `| ${short}\`--${flag.name}${value}\` | ${fallback} | ${cell(flag.summary ?? flag.description ?? '')}${options} |`;
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replace(/\s+/g, ' ').trim();
