/** kobako run: a pod from an image or from a file. */
import { randomBytes, randomUUID } from "node:crypto";
import { mkdir, chmod, readFile } from "node:fs/promises";
import { imageService, runtimeService } from "../../../cri-api/index.ts";
import type { Context } from "../cli.ts";
import { CliError, exitCode } from "../cli-error.ts";
import { Daemon } from "../client.ts";
import { writeValue } from "../output.ts";
import { type ContainerPlan, type PodPlan, planPod } from "../pod-file.ts";
import { dropPodFolder, makePodFolder } from "../pod-folder.ts";
import { pullImage } from "./pull.ts";

export interface RunFlags {
  readonly file?: string;
  readonly name?: string;
  readonly namespace: string;
  readonly env: readonly string[];
  readonly publish: readonly string[];
  readonly volume: readonly string[];
  readonly hostNetwork?: boolean;
  readonly privileged?: boolean;
  readonly runtime: string;
}

const maxFileBytes = 1 << 20;

export async function run(
  context: Context,
  image: string | undefined,
  command: readonly string[],
  flags: RunFlags,
): Promise<void> {
  if ((image === undefined) === (flags.file === undefined))
    throw new CliError("name an image, or a pod's file with --file", exitCode.usage);
  const text =
    flags.file === undefined ? podText(image ?? "", command, flags) : await readPodFile(flags.file);
  using daemon = new Daemon(context.address);
  const uid = randomUUID();
  // Planned once without a place: a faulty file must not make anything.
  planPod(text, { uid, folder: "/nowhere", annotations: {} });
  const folder = await makePodFolder(daemon, uid);
  let podSandboxId = "";
  try {
    const plan = planPod(text, { uid, folder: folder.path, annotations: folder.annotations });
    await makeFolders(folder.path, plan);
    // Before the pod: a pull can take minutes and fail.
    for (const container of plan.containers) await ensureImage(context, daemon, container);
    const { sandbox: config, runtimeHandler } = plan;
    ({ podSandboxId } = await daemon.call(
      runtimeService.runPodSandbox,
      { config, runtimeHandler },
      { timeoutMs: 240_000 },
    ));
    const containers: string[] = [];
    for (const container of plan.containers) {
      const request = { podSandboxId, config: container.config, sandboxConfig: config };
      const { containerId } = await daemon.call(runtimeService.createContainer, request);
      await daemon.call(runtimeService.startContainer, { containerId });
      containers.push(containerId);
    }
    await show(context, podSandboxId, plan, containers);
  } catch (error) {
    await undo(daemon, podSandboxId, folder.path).catch((cause) => {
      context.stderr.write(`kobako: undo: ${cause instanceof Error ? cause.message : cause}\n`);
    });
    throw error;
  }
}

async function undo(daemon: Daemon, podSandboxId: string, folder: string): Promise<void> {
  if (podSandboxId !== "") {
    await daemon.call(runtimeService.stopPodSandbox, { podSandboxId });
    await daemon.call(runtimeService.removePodSandbox, { podSandboxId });
  }
  await dropPodFolder(folder);
}

async function readPodFile(file: string): Promise<string> {
  try {
    // 0: standard input.
    const bytes = await readFile(file === "-" ? "/dev/stdin" : file);
    if (bytes.length > maxFileBytes) throw new Error("it is larger than 1 MiB");
    return bytes.toString("utf8");
  } catch (cause) {
    throw new CliError(`read ${file}: ${cause instanceof Error ? cause.message : cause}`, exitCode.usage);
  }
}

async function makeFolders(folder: string, plan: PodPlan): Promise<void> {
  await mkdir(`${folder}/logs`, { mode: 0o755 });
  if (plan.emptyDirs.length > 0) await mkdir(`${folder}/volumes`, { mode: 0o755 });
  for (const name of plan.emptyDirs) {
    await mkdir(`${folder}/volumes/${name}`);
    // As a kubelet makes them: any user of the pod may write. Others are kept out by the pod's folder.
    await chmod(`${folder}/volumes/${name}`, 0o777);
  }
}

async function ensureImage(
  context: Context,
  daemon: Daemon,
  { image, pullPolicy }: ContainerPlan,
): Promise<void> {
  if (pullPolicy === "Always") return void (await pullImage(context, daemon, image));
  const { image: found } = await daemon.call(imageService.imageStatus, { image: { image } });
  if (found) return;
  if (pullPolicy === "Never") throw new CliError(`image ${image} is not here, and imagePullPolicy is Never`);
  await pullImage(context, daemon, image);
}

async function show(
  context: Context,
  pod: string,
  plan: PodPlan,
  containers: readonly string[],
): Promise<void> {
  const named = plan.containers.map((container, i) => ({
    name: container.config.metadata?.name,
    id: containers[i],
  }));
  if (context.output !== "table")
    return await writeValue(context, {
      pod: { name: plan.sandbox.metadata.name, id: pod },
      containers: named,
    });
  context.stdout.write(`pod ${plan.sandbox.metadata.name} ${pod}\n`);
  for (const { name, id } of named) context.stdout.write(`container ${name} ${id}\n`);
}

/** The pod that the flags describe, as the file would have it: there is one way from a Pod to the CRI. */
export function podText(image: string, command: readonly string[], flags: RunFlags): string {
  const volumes = flags.volume.map(parseVolume);
  const container = nameFrom(image);
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: flags.name ?? `${container}-${randomBytes(3).toString("hex")}`,
      namespace: flags.namespace,
    },
    spec: {
      ...(flags.hostNetwork ? { hostNetwork: true } : {}),
      ...(flags.runtime === "" ? {} : { runtimeClassName: flags.runtime }),
      volumes: volumes.map(({ host }, i) => ({ name: `v${i}`, hostPath: { path: host } })),
      containers: [
        {
          name: container,
          image,
          // As docker run does: what follows the image is the command's arguments.
          args: command,
          env: flags.env.map(parseEnv),
          ports: flags.publish.map(parsePort),
          volumeMounts: volumes.map(({ inside, readOnly }, i) => ({
            name: `v${i}`,
            mountPath: inside,
            readOnly,
          })),
          ...(flags.privileged ? { securityContext: { privileged: true } } : {}),
        },
      ],
    },
  });
}

/** A DNS label from the last part of an image's name. */
function nameFrom(image: string): string {
  const last = (image.split("@")[0] ?? "").split("/").at(-1)?.split(":")[0] ?? "";
  const label = last
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return label.slice(0, 40).replace(/-+$/, "") || "app";
}

function parseEnv(pair: string): { name: string; value: string } {
  const at = pair.indexOf("=");
  if (at < 1) throw new CliError(`--env ${pair} must be NAME=VALUE`, exitCode.usage);
  return { name: pair.slice(0, at), value: pair.slice(at + 1) };
}

function parsePort(text: string): {
  hostIP?: string;
  hostPort: number;
  containerPort: number;
  protocol: string;
} {
  const match = /^(?:(\[[0-9a-fA-F:]+\]|[\d.]+):)?(\d{1,5}):(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(text);
  const [hostPort, containerPort] = [Number(match?.[2]), Number(match?.[3])];
  if (!match || !(hostPort >= 1 && hostPort <= 65535 && containerPort >= 1 && containerPort <= 65535))
    throw new CliError(`--publish ${text} must be [IP:]HOST:CONTAINER[/PROTOCOL]`, exitCode.usage);
  const ip = match[1]?.replace(/[[\]]/g, "");
  return {
    ...(ip === undefined ? {} : { hostIP: ip }),
    hostPort,
    containerPort,
    protocol: (match[4] ?? "tcp").toUpperCase(),
  };
}

function parseVolume(text: string): { host: string; inside: string; readOnly: boolean } {
  const match = /^(\/[^:]*):(\/[^:]*)(?::(ro|rw))?$/.exec(text);
  if (!match) throw new CliError(`--volume ${text} must be /HOST:/CONTAINER[:ro]`, exitCode.usage);
  return { host: match[1] ?? "", inside: match[2] ?? "", readOnly: match[3] === "ro" };
}
