/** Where the processes of a pod are counted, and what happens when they ask for more than they may have. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ContainerState, NamespaceMode } from "../../cri-api/index.ts";
import { readCgroupLayout } from "../../src/cgroup/layout.ts";
import { instanceNames } from "../../src/config/instance.ts";
import { allPids, processInfo } from "../support/host.ts";
import { containerPid } from "../support/oracle.ts";
import { container, containerStatus, output, pod, runPod, startContainer } from "../support/pods.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const node = useNode();
const soak = process.env.KOBAKO_SOAK === "1";

/** The cgroup paths of a process where it is limited: one for each v1 hierarchy with controllers, or the v2 one. */
function cgroupsOf(pid: number): string[] {
  const v1 = readCgroupLayout().version === 1;
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n");
  return lines
    .filter((line) => v1 === !line.startsWith("0::"))
    .map((line) => line.split(":").slice(2).join(":"));
}

const shared = NamespaceMode.POD;

describe("U1: placing", () => {
  it("container, exec and the pod's first process are below the parent given, and nothing else is", async () => {
    const { daemon, image } = node();
    const config = pod(daemon, { linux: { securityContext: { namespaceOptions: { pid: shared } } } });
    const parent = config.linux?.cgroupParent ?? "";
    const sandbox = await runPod(daemon, config);
    const id = await startContainer(
      daemon,
      sandbox,
      container(image, { security: { namespaceOptions: { pid: shared } } }),
    );
    const main = await containerPid(daemon, id);
    const found = new Map<string, number[]>();
    // An exec that says its pid and stays while we look.
    const exec = output(daemon, id, "sleep 4711.5; echo done");
    await waitFor("the exec", () => allPids().some((pid) => readCommand(pid).includes("4711.5")));
    for (const pid of allPids())
      for (const path of cgroupsSafely(pid))
        if (path.startsWith(parent)) found.set(path, [...(found.get(path) ?? []), pid]);
    for (const path of cgroupsOf(main)) expect(path).toBe(`${parent}/${id}`);
    const execPid = allPids().find((pid) => readCommand(pid).startsWith("sleep\x004711.5"));
    for (const path of cgroupsSafely(execPid ?? 0))
      expect(path).toMatch(new RegExp(`^${parent}/${id}(/exec-\\d+)?$`));
    expect(execPid).toBeDefined();
    expect([...found.keys()].some((path) => path.startsWith(`${parent}/kobako-pause-`))).toBe(true);
    // No monitor, no daemon: only what belongs to the pod.
    for (const pid of [...found.values()].flat())
      expect(processInfo(pid)?.name ?? "gone").not.toMatch(/^(node|kobako-spawner)$/);
    if (execPid !== undefined) process.kill(execPid, "SIGKILL");
    expect(await exec).toBe("done");
  });
});

describe("U2: the parent's path", () => {
  it.each(["../../x", "/a/../../b", "/a/./b", "/a b", "/a\nb", `/${"a".repeat(5000)}`])(
    "%j is refused, and no cgroup is made",
    async (cgroupParent) => {
      const { daemon } = node();
      await expect(runPod(daemon, pod(daemon, { linux: { cgroupParent } }))).rejects.toThrow(/cgroup_parent/);
    },
  );

  it("the root means the pod's own place, doubled slashes are one", async () => {
    const { daemon, image } = node();
    const { cgroupParent } = daemon;
    for (const [given, place] of [
      ["/", `${instanceNames(daemon.root).cgroupRoot}/pods/`],
      [`${cgroupParent}//twice/`, `${cgroupParent}/twice/`],
    ] as const) {
      const sandbox = await runPod(daemon, pod(daemon, { linux: { cgroupParent: given } }));
      const id = await startContainer(daemon, sandbox, container(image));
      for (const path of cgroupsOf(await containerPid(daemon, id)))
        expect(path.startsWith(place), path).toBe(true);
      await daemon.client.removePodSandbox({ podSandboxId: sandbox.id });
    }
  });
});

describe("U3: a container that takes too much", () => {
  it("ends alone: its monitor and its neighbours live, and it says OOMKilled", async () => {
    const { daemon, image } = node();
    const bombs = soak ? 20 : 4;
    await Promise.all(
      Array.from({ length: bombs }, async (_, i) => {
        const sandbox = await runPod(daemon, pod(daemon));
        const neighbour = await startContainer(daemon, sandbox, container(image));
        const before = await containerPid(daemon, neighbour);
        const bomb =
          i % 2 === 0
            ? container(image, {
                command: ["/bin/sh", "-c", "tail /dev/zero"],
                linux: { resources: { memoryLimitInBytes: 24n << 20n } },
              })
            : container(image, {
                // Forks until the limit of processes or memory says no; each child holds some memory.
                command: [
                  "/bin/sh",
                  "-c",
                  "f() { x=$(head -c 500000 /dev/zero | tr '\\0' x); f & f; }; f; wait; tail /dev/zero",
                ],
                linux: { resources: { memoryLimitInBytes: 24n << 20n } },
              });
        const id = await startContainer(daemon, sandbox, bomb);
        await waitFor(
          "the end of the bomb",
          async () => (await containerStatus(daemon, id)).state === ContainerState.CONTAINER_EXITED,
          { timeoutMs: 60_000 },
        );
        const status = await containerStatus(daemon, id);
        expect({ reason: status.reason, exitCode: status.exitCode }).toEqual({
          reason: "OOMKilled",
          exitCode: 137,
        });
        // The monitor answers, and the neighbour is the process that it was.
        expect(await output(daemon, neighbour, "echo here")).toBe("here");
        expect(await containerPid(daemon, neighbour)).toBe(before);
      }),
    );
  });
});

function readCommand(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

/** A process may end while it is looked at. */
function cgroupsSafely(pid: number): string[] {
  try {
    return cgroupsOf(pid);
  } catch {
    return [];
  }
}
