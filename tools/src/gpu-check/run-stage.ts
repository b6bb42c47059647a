import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Finding, readFinding } from './finding.js';

/** A stage is a process of its own: one that hangs or crashes ends neither the others nor the report. */
export interface StageProcess {
  readonly command: string;
  readonly args: readonly string[];
  /** Where all that it prints is kept. */
  readonly log: string;
  readonly limitMs: number;
  /** Exit codes beyond 0 that its own findings explain. */
  readonly explained?: readonly number[];
  /** What a line says; `readFinding` when absent. */
  readonly read?: (line: string) => Finding | null;
}

export interface StageOutcome {
  readonly exitCode: number | null;
  readonly findings: readonly Finding[];
}

/** Runs a stage to its end or its limit; `take` hears every finding as it comes. A bad end is a finding too. */
export function runStage(stage: StageProcess, take: (finding: Finding) => void): Promise<StageOutcome> {
  const { command, args, log, limitMs, explained = [], read = readFinding } = stage;
  const findings: Finding[] = [];
  const add = (finding: Finding) => {
    findings.push(finding);
    take(finding);
  };
  return new Promise((resolve) => {
    const file = createWriteStream(log);
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let last = '';
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, limitMs);
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => {
      file.write(`${line}\n`);
      const finding = read(line);
      if (finding) add(finding);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      file.write(text);
      last = text.trim().split('\n').at(-1) || last;
    });
    const end = (exitCode: number | null, reason: string) => {
      clearTimeout(timer);
      file.end();
      if (isLate) add({ what: 'the stage', verdict: 'wrong', text: `stopped after ${limitMs / 1000} s` });
      else if (exitCode !== 0 && !(exitCode !== null && explained.includes(exitCode)))
        add({ what: 'the stage', verdict: 'wrong', text: [reason, last].filter(Boolean).join(': ') });
      resolve({ exitCode, findings });
    };
    child.on('error', (error) => end(null, error.message));
    child.on('close', (code, signal) => end(code, signal ? `ended by ${signal}` : `ended with ${code}`));
  });
}
