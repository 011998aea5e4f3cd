/** kobako exec: by ExecSync, so without standard input and with the output at the end. */
import { ContainerState, runtimeService } from "../../../cri-api/index.ts";
import type { Context } from "../cli.ts";
import { CliError, exitCode } from "../cli-error.ts";
import { Daemon } from "../client.ts";
import { findContainer } from "../find.ts";

interface ExecFlags {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly timeout: string;
}

/** Resolves with the exit code of the command. */
export async function exec(
  context: Context,
  ref: string,
  argv: readonly string[],
  flags: ExecFlags,
): Promise<number> {
  if (flags.interactive || flags.tty)
    throw new CliError(
      "interactive exec (-i, -t) is not in this version: leave them out, or use crictl exec when streaming is there",
      exitCode.usage,
    );
  if (!/^\d{1,6}$/.test(flags.timeout))
    throw new CliError(`--timeout ${flags.timeout} must be a number of seconds`, exitCode.usage);
  using daemon = new Daemon(context.address);
  try {
    const container = await findContainer(daemon, ref);
    if (container.state !== ContainerState.CONTAINER_RUNNING)
      throw new CliError(`container ${ref} does not run: see kobako ps -a`);
    const seconds = Number(flags.timeout);
    const answer = await daemon.call(
      runtimeService.execSync,
      { containerId: container.id, cmd: argv, timeout: BigInt(seconds) },
      { timeoutMs: seconds === 0 ? 0 : (seconds + 30) * 1000 },
    );
    context.stdout.write(answer.stdout);
    context.stderr.write(answer.stderr);
    return answer.exitCode;
  } catch (error) {
    // The command's own exit code must be told from ours.
    if (error instanceof CliError && error.exitCode === exitCode.failed)
      throw new CliError(error.message, exitCode.execFailed);
    throw error;
  }
}
