/** How the command ends. Exec passes on the exit code of what it ran, and uses 125 for failures of its own. */
export const exitCode = { ok: 0, failed: 1, usage: 2, unreachable: 3, execFailed: 125 } as const;

/** A failure that is told in one sentence, without a stack. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: number;

  constructor(message: string, code: number = exitCode.failed) {
    super(message);
    this.exitCode = code;
  }
}
