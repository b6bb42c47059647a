import { createInterface } from 'node:readline/promises';
import { CortexError } from '@helexa/core';
import { Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import { type ChatMessage, streamChat } from '../chat-stream.js';
import { sharedFlags } from '../flags.js';
import { fetchModels } from '../gateway-client.js';

/** A small client for trying a model from the terminal. */
export default class Chat extends BaseCommand {
  static override summary = 'Talk to a served model.';
  static override description = `Sends what is typed to the gateway and prints the answer as it comes.

With --message it asks once and ends. Without it, an empty line or Ctrl-D ends the conversation.`;
  static override examples = [
    { description: 'Talk to the only model there is.', command: '<%= config.bin %> chat' },
    { description: 'Ask once.', command: '<%= config.bin %> chat --message "What is the capital of Norway?"' },
  ];
  static override flags = {
    endpoint: sharedFlags.endpoint,
    key: sharedFlags.key,
    model: Flags.string({
      char: 'm',
      summary: 'Model to ask; by default the first loaded one that the gateway lists.',
    }),
    message: Flags.string({ summary: 'Ask this once instead of reading from the terminal.' }),
    'max-tokens': Flags.integer({ min: 1, summary: 'Longest answer, in tokens.' }),
    thoughts: Flags.boolean({ summary: 'Also print what the model thinks before it answers.' }),
  };

  async run(): Promise<{ model: string; answer: string } | undefined> {
    const { flags } = await this.parse(Chat);
    const model =
      flags.model ?? (await fetchModels(flags.endpoint, flags.key)).find((listed) => listed['loaded'] === true)?.id;
    if (model === undefined) throw new CortexError('model_not_loaded', { model: 'any', nodes: [] });
    const ask = async (messages: readonly ChatMessage[]): Promise<string> => {
      let answer = '';
      const request = {
        model,
        messages,
        key: flags.key,
        ...(flags['max-tokens'] === undefined ? {} : { maxTokens: flags['max-tokens'] }),
      };
      for await (const piece of streamChat(flags.endpoint, request)) {
        if (piece.kind === 'content') answer += piece.text;
        if (!this.jsonEnabled() && (piece.kind === 'content' || flags.thoughts)) process.stdout.write(piece.text);
      }
      this.log();
      return answer;
    };
    if (flags.message !== undefined) return { model, answer: await ask([{ role: 'user', content: flags.message }]) };

    const terminal = createInterface({ input: process.stdin, output: process.stdout, prompt: '> ' });
    const messages: ChatMessage[] = [];
    try {
      terminal.prompt();
      for await (const line of terminal) {
        if (line.trim() === '') break;
        messages.push({ role: 'user', content: line });
        messages.push({ role: 'assistant', content: await ask(messages) });
        terminal.prompt();
      }
    } finally {
      terminal.close();
    }
    return undefined;
  }
}
