const timeoutMs = 5000;

/** Whether a daemon of this process answers on its own address. */
export async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    await response.arrayBuffer();
    return true;
  } catch {
    // No answer is an answer here: the caller says what follows from it.
    return false;
  }
}
