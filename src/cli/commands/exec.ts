/** kobako exec: by Exec and its stream; with a time limit by ExecSync, which is the one that has it. */
import { ContainerState, runtimeService } from "../../../cri-api/index.ts";
import type { Context } from "../cli.ts";
import { CliError, exitCode } from "../cli-error.ts";
import { Daemon } from "../client.ts";
import { findContainer } from "../find.ts";
import { runSession, type SessionFlags, sessionRequest } from "../stream/person.ts";

interface ExecFlags extends SessionFlags {
  readonly timeout: string;
}

/** Resolves with the exit code of the command. */
export async function exec(
  context: Context,
  ref: string,
  argv: readonly string[],
  flags: ExecFlags,
): Promise<number> {
  if (!/^\d{1,6}$/.test(flags.timeout))
    throw new CliError(`--timeout ${flags.timeout} must be a number of seconds`, exitCode.usage);
  const seconds = Number(flags.timeout);
  if (seconds > 0 && (flags.interactive || flags.tty))
    throw new CliError("--timeout does not go with -i or -t", exitCode.usage);
  using daemon = new Daemon(context.address);
  try {
    const container = await findContainer(daemon, ref);
    if (container.state !== ContainerState.CONTAINER_RUNNING)
      throw new CliError(`container ${ref} does not run: see kobako ps -a`);
    if (seconds > 0) return await execSync(context, daemon, container.id, argv, seconds);
    const request = sessionRequest(context, flags);
    const { url } = await daemon.call(runtimeService.exec, {
      containerId: container.id,
      cmd: argv,
      ...request,
    });
    const end = await runSession(context, url, request, flags);
    // Nobody could come back to it: the daemon ends what its client leaves.
    if (end.left) context.stderr.write("\r\nleft: the command was ended\n");
    return end.exitCode;
  } catch (error) {
    // The command's own exit code must be told from ours.
    if (error instanceof CliError && error.exitCode === exitCode.failed)
      throw new CliError(error.message, exitCode.execFailed);
    throw error;
  }
}

async function execSync(
  context: Context,
  daemon: Daemon,
  containerId: string,
  cmd: readonly string[],
  seconds: number,
): Promise<number> {
  const answer = await daemon.call(
    runtimeService.execSync,
    { containerId, cmd, timeout: BigInt(seconds) },
    { timeoutMs: (seconds + 30) * 1000 },
  );
  context.stdout.write(answer.stdout);
  context.stderr.write(answer.stderr);
  return answer.exitCode;
}
