/** Pods and containers for tests: short to write, complete enough for a kubelet's eyes. */
import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  type ContainerConfigInit,
  ContainerState,
  type ContainerStatus,
  type LinuxContainerSecurityContextInit,
  NamespaceMode,
  type PodSandboxConfigInit,
  ProfileType,
} from "../../cri-api/index.ts";
import type { TestDaemon } from "./daemon.ts";
import { within } from "./slowness.ts";
import { waitFor } from "./wait.ts";

/** A process that ends on SIGTERM at once: PID 1 gets no default actions, so the shell must say it. */
export const sleeper: readonly string[] = ["/bin/sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"];

/** Prints "PREFIX 1", "PREFIX 2", ... one line per `everyMs`, and ends on SIGTERM. */
export function counter(prefix: string, everyMs = 20): readonly string[] {
  const pause = `sleep ${everyMs / 1000}`;
  return [
    "/bin/sh",
    "-c",
    `trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); echo "${prefix} $i"; ${pause}; done`,
  ];
}

let names = 0;

/**
 * A pod of `daemon` with a name of its own; `more` is laid over it, `linux` and the namespace options one level
 * deeper. As from a kubelet, each container has a pid namespace of its own unless `more` says otherwise.
 */
export function pod(daemon: TestDaemon, more: PodSandboxConfigInit = {}): PodSandboxConfigInit {
  const name = `pod-${++names}`;
  const uid = randomBytes(8).toString("hex");
  return {
    metadata: { name, namespace: "test", uid, attempt: 0 },
    hostname: name,
    logDirectory: join(daemon.podLogs, uid),
    labels: { app: name },
    ...more,
    linux: {
      cgroupParent: daemon.podCgroup(uid),
      ...more.linux,
      securityContext: {
        ...more.linux?.securityContext,
        namespaceOptions: { pid: NamespaceMode.CONTAINER, ...more.linux?.securityContext?.namespaceOptions },
      },
    },
  };
}

export function container(
  image: string,
  more: ContainerConfigInit & { security?: LinuxContainerSecurityContextInit } = {},
): ContainerConfigInit {
  const { security, ...rest } = more;
  const name = rest.metadata?.name ?? `c${++names}`;
  return {
    metadata: { name, attempt: 0 },
    image: { image },
    command: sleeper,
    logPath: `${name}.log`,
    ...rest,
    linux: {
      ...rest.linux,
      securityContext: {
        seccomp: { profileType: ProfileType.RuntimeDefault },
        ...rest.linux?.securityContext,
        ...security,
        namespaceOptions: { pid: NamespaceMode.CONTAINER, ...security?.namespaceOptions },
      },
    },
  };
}

export const hostNetwork: PodSandboxConfigInit["linux"] = {
  securityContext: { namespaceOptions: { network: NamespaceMode.NODE } },
};

export interface RunningPod {
  readonly id: string;
  readonly config: PodSandboxConfigInit;
  /** First address, "" on the host's network. */
  readonly ip: string;
  readonly ips: readonly string[];
}

/** RunPodSandbox; the log folder is made as a kubelet would. */
export async function runPod(
  daemon: TestDaemon,
  config = pod(daemon),
  runtimeHandler = "",
): Promise<RunningPod> {
  if (config.logDirectory) await mkdir(config.logDirectory, { recursive: true });
  const { podSandboxId: id } = await daemon.client.runPodSandbox({ config, runtimeHandler });
  const { status } = await daemon.client.podSandboxStatus({ podSandboxId: id });
  const ip = status?.network?.ip ?? "";
  const ips = [ip, ...(status?.network?.additionalIps ?? []).map((more) => more.ip)].filter(
    (text) => text !== "",
  );
  return { id, config, ip, ips };
}

/** CreateContainer and StartContainer. Returns the id. */
export async function startContainer(
  daemon: TestDaemon,
  sandbox: RunningPod,
  config: ContainerConfigInit,
): Promise<string> {
  const containerId = await createContainer(daemon, sandbox, config);
  await daemon.client.startContainer({ containerId });
  return containerId;
}

export async function createContainer(
  daemon: TestDaemon,
  sandbox: RunningPod,
  config: ContainerConfigInit,
): Promise<string> {
  const { containerId } = await daemon.client.createContainer({
    podSandboxId: sandbox.id,
    config,
    sandboxConfig: sandbox.config,
  });
  return containerId;
}

export async function containerStatus(daemon: TestDaemon, containerId: string): Promise<ContainerStatus> {
  const { status } = await daemon.client.containerStatus({ containerId });
  if (status === undefined) throw new Error(`ContainerStatus of ${containerId}: no status`);
  return status;
}

/** Waits until the container has ended; returns its last status. */
export async function exited(
  daemon: TestDaemon,
  containerId: string,
  timeoutMs = 10_000,
): Promise<ContainerStatus> {
  return await waitFor(
    `the end of container ${containerId}`,
    async () => {
      const status = await containerStatus(daemon, containerId);
      return status.state === ContainerState.CONTAINER_EXITED ? status : undefined;
    },
    { timeoutMs },
  );
}

export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** ExecSync of `command`; one string is run by the container's shell. */
export async function exec(
  daemon: TestDaemon,
  containerId: string,
  command: string | readonly string[],
  timeoutSeconds = within(10),
): Promise<ExecResult> {
  const cmd = typeof command === "string" ? ["/bin/sh", "-c", command] : command;
  const response = await daemon.client.execSync({
    containerId,
    cmd,
    timeout: BigInt(timeoutSeconds),
  });
  return {
    stdout: Buffer.from(response.stdout).toString("utf8"),
    stderr: Buffer.from(response.stderr).toString("utf8"),
    exitCode: response.exitCode,
  };
}

/** stdout of `command`, trimmed; anything but exit code 0 throws. */
export async function output(
  daemon: TestDaemon,
  containerId: string,
  command: string | readonly string[],
): Promise<string> {
  const { stdout, stderr, exitCode } = await exec(daemon, containerId, command);
  if (exitCode !== 0) throw new Error(`${String(command)}: exit code ${exitCode}: ${stderr}`);
  return stdout.trim();
}

/** Where the log of a container started in `sandbox` is. */
export function logFile(sandbox: RunningPod, name: string): string {
  return join(sandbox.config.logDirectory ?? "", `${name}.log`);
}
