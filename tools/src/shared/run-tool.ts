import { CortexError } from '@helexa/core';

/** Runs a tool's main function; it answers its exit code, and an error of the catalogue ends it with its own. */
export async function runTool(main: (args: string[]) => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    if (isUsageError(error)) {
      console.error(error.message);
      process.exitCode = 2;
      return;
    }
    if (!CortexError.isInstance(error)) throw error;
    console.error(error.message);
    if (error.suggestion !== undefined) console.error(error.suggestion);
    process.exitCode = error.exit;
  }
}

/** An option that `parseArgs` does not know, or a value that it lacks. */
const isUsageError = (error: unknown): error is Error =>
  error instanceof TypeError && String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS_');
