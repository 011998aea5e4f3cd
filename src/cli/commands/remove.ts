/** kobako stop, rm, rmi. */
import { ContainerState, imageService, type PodSandbox, runtimeService } from "../../../cri-api/index.ts";
import type { Context } from "../cli.ts";
import { CliError, exitCode } from "../cli-error.ts";
import { Daemon } from "../client.ts";
import { findPod } from "../find.ts";
import { shortId } from "../output.ts";
import { removePodFolder } from "../pod-folder.ts";

export async function stop(
  context: Context,
  refs: readonly string[],
  flags: { readonly timeout: string },
): Promise<void> {
  if (!/^\d{1,6}$/.test(flags.timeout))
    throw new CliError(`--timeout ${flags.timeout} must be a number of seconds`, exitCode.usage);
  using daemon = new Daemon(context.address);
  for (const ref of refs) {
    const pod = await findPod(daemon, ref);
    await stopPod(daemon, pod, Number(flags.timeout));
    context.stdout.write(`${pod.id}\n`);
  }
}

interface RmFlags {
  readonly force?: boolean;
  readonly all?: boolean;
}

export async function rm(context: Context, refs: readonly string[], flags: RmFlags): Promise<void> {
  if (refs.length === 0 && !flags.all)
    throw new CliError("name the pods to remove, or say --all", exitCode.usage);
  using daemon = new Daemon(context.address);
  const pods = flags.all
    ? (await daemon.call(runtimeService.listPodSandbox, {})).items
    : await Promise.all(refs.map((ref) => findPod(daemon, ref)));
  if (!flags.force) await refuseRunning(daemon, pods);
  for (const pod of pods) {
    // What may still run then was not to be spared.
    await stopPod(daemon, pod, 0);
    await daemon.call(runtimeService.removePodSandbox, { podSandboxId: pod.id });
    await removePodFolder(daemon, pod.annotations);
    context.stdout.write(`${pod.id}\n`);
  }
}

export async function rmi(context: Context, images: readonly string[]): Promise<void> {
  using daemon = new Daemon(context.address);
  for (const image of images) {
    const found = await daemon.call(imageService.imageStatus, { image: { image } });
    if (!found.image) throw new CliError(`image ${image} is not here: see kobako images`);
    await daemon.call(imageService.removeImage, { image: { image } });
    context.stdout.write(`${found.image.id}\n`);
  }
}

async function refuseRunning(daemon: Daemon, pods: readonly PodSandbox[]): Promise<void> {
  const { containers } = await daemon.call(runtimeService.listContainers, {
    filter: { state: { state: ContainerState.CONTAINER_RUNNING } },
  });
  for (const pod of pods) {
    const running = containers.find(({ podSandboxId }) => podSandboxId === pod.id);
    if (running)
      throw new CliError(
        `container ${running.metadata?.name} of pod ${pod.metadata?.name ?? shortId(pod.id)} runs: kobako stop it first, or rm --force`,
      );
  }
}

/** Containers first, each with its grace; the sandbox alone would kill them at once. */
async function stopPod(daemon: Daemon, pod: PodSandbox, graceSeconds: number): Promise<void> {
  const { containers } = await daemon.call(runtimeService.listContainers, {
    filter: { podSandboxId: pod.id },
  });
  const timeoutMs = (graceSeconds + 60) * 1000;
  await Promise.all(
    containers
      .filter(({ state }) => state === ContainerState.CONTAINER_RUNNING)
      .map(({ id }) =>
        daemon.call(
          runtimeService.stopContainer,
          { containerId: id, timeout: BigInt(graceSeconds) },
          { timeoutMs },
        ),
      ),
  );
  await daemon.call(runtimeService.stopPodSandbox, { podSandboxId: pod.id });
}
