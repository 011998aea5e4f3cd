/** Pods with one container each, made and removed with their calls timed. */
import { mkdir } from "node:fs/promises";
import { type ContainerConfigInit, NamespaceMode, type PodSandboxConfigInit } from "../../cri-api/index.ts";
import type { CriClient } from "../../test/support/cri-client.ts";
import type { Samples } from "../sample.ts";
import { interruption } from "./interruption.ts";

export interface Workload {
  readonly image: string;
  /** Command of the containers; its first word tells workloads from the runtime's own processes. */
  readonly workload: readonly string[];
}

export interface Pod {
  readonly sandbox: string;
  readonly container: string;
}

/** Not counted: ten pods with a probe every ten seconds make as many in ten minutes. */
const warmUpExecs = 600;

let serial = 0;

export class Pods {
  readonly cgroupParent = `/kobako-bench-${process.pid}`;
  readonly #client: CriClient;
  readonly #subject: Workload;
  readonly #logs: string;
  readonly #live = new Set<string>();

  constructor(client: CriClient, subject: Workload, logs: string) {
    this.#client = client;
    this.#subject = subject;
    this.#logs = logs;
  }

  config(o: { network?: NamespaceMode } = {}): PodSandboxConfigInit {
    const name = `bench-${process.pid}-${++serial}`;
    return {
      metadata: { name, namespace: "bench", uid: name, attempt: 0 },
      // A node's own name may not be changed.
      hostname: o.network === NamespaceMode.NODE ? "" : name,
      logDirectory: `${this.#logs}/${name}`,
      linux: {
        cgroupParent: `${this.cgroupParent}/${name}`,
        securityContext: {
          namespaceOptions: { network: o.network ?? NamespaceMode.POD, pid: NamespaceMode.CONTAINER },
        },
      },
    };
  }

  /** Execs of `cmd` that make both ends' code as warm as on a node with probes. */
  async warmUpExecs(pod: Pod, cmd: readonly string[]): Promise<void> {
    for (let i = 0; i < warmUpExecs; i++)
      await this.#client.execSync({ containerId: pod.container, cmd: [...cmd], timeout: 10n });
  }

  async start(samples: Samples): Promise<Pod> {
    interruption.throwIfAborted();
    const config = this.config();
    await mkdir(config.logDirectory ?? "", { recursive: true });
    const container: ContainerConfigInit = {
      metadata: { name: "main", attempt: 0 },
      image: { image: this.#subject.image },
      command: this.#subject.workload,
      logPath: "main.log",
      // RuntimeDefault seccomp, as a kubelet with seccompDefault asks.
      linux: {
        securityContext: {
          seccomp: { profileType: 0, localhostRef: "" },
          namespaceOptions: { pid: NamespaceMode.CONTAINER },
        },
      },
    };
    return await samples.time("pod start", async () => {
      const { podSandboxId } = await samples.time("RunPodSandbox", () =>
        this.#client.runPodSandbox({ config }, { timeoutMs: 60_000 }),
      );
      this.#live.add(podSandboxId);
      const { containerId } = await samples.time("CreateContainer", () =>
        this.#client.createContainer(
          { podSandboxId, config: container, sandboxConfig: config },
          { timeoutMs: 60_000 },
        ),
      );
      await samples.time("StartContainer", () =>
        this.#client.startContainer({ containerId }, { timeoutMs: 60_000 }),
      );
      return { sandbox: podSandboxId, container: containerId };
    });
  }

  async remove(pod: Pod, samples: Samples): Promise<void> {
    const o = { timeoutMs: 60_000 };
    await samples.time("pod removal", async () => {
      await samples.time("StopContainer", () =>
        this.#client.stopContainer({ containerId: pod.container, timeout: 10n }, o),
      );
      await samples.time("RemoveContainer", () =>
        this.#client.removeContainer({ containerId: pod.container }, o),
      );
      await samples.time("StopPodSandbox", () =>
        this.#client.stopPodSandbox({ podSandboxId: pod.sandbox }, o),
      );
      await samples.time("RemovePodSandbox", () =>
        this.#client.removePodSandbox({ podSandboxId: pod.sandbox }, o),
      );
    });
    this.#live.delete(pod.sandbox);
  }

  /** What a failed run left. */
  async removeAll(): Promise<void> {
    for (const podSandboxId of this.#live) {
      await this.#client.stopPodSandbox({ podSandboxId }).catch(() => {});
      await this.#client.removePodSandbox({ podSandboxId }).catch(() => {});
    }
  }
}
