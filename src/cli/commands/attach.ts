/** kobako attach: to what a container writes from now on, and with -i to its standard input. */
import { ContainerState, runtimeService } from "../../../cri-api/index.ts";
import type { Context } from "../cli.ts";
import { CliError, exitCode } from "../cli-error.ts";
import { Daemon } from "../client.ts";
import { findContainer } from "../find.ts";
import { runSession, type SessionFlags, sessionRequest } from "../stream/person.ts";

/** Resolves with the container's exit code when it ended; when the person left before, with that of the leaving. */
export async function attach(context: Context, ref: string, flags: SessionFlags): Promise<number> {
  using daemon = new Daemon(context.address);
  const { id: containerId, state } = await findContainer(daemon, ref);
  if (state !== ContainerState.CONTAINER_RUNNING)
    throw new CliError(
      `container ${ref} does not run: see kobako ps -a, or kobako logs for what it has said`,
    );
  const request = sessionRequest(context, flags);
  const { url } = await daemon.call(runtimeService.attach, { containerId, ...request });
  const end = await runSession(context, url, request, flags);
  if (end.left) {
    context.stderr.write("\r\nleft: the container goes on\n");
    return end.exitCode;
  }
  const { status } = await daemon.call(runtimeService.containerStatus, { containerId });
  return status?.state === ContainerState.CONTAINER_EXITED ? status.exitCode : exitCode.ok;
}
