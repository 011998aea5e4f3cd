/** What a pod is made of: namespaces, names, shared folders. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { NamespaceMode, PodSandboxState } from "../../cri-api/index.ts";
import { namespaceInode } from "../support/host.ts";
import { containerPid } from "../support/oracle.ts";
import { container, exec, hostNetwork, output, pod, runPod, startContainer } from "../support/pods.ts";
import { tempDir } from "../support/temp-dir.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const node = useNode();

/** A running container in a pod with `linux` settings. */
async function inPod(linux: Parameters<typeof pod>[1] = {}, more: Parameters<typeof container>[1] = {}) {
  const { daemon, image } = node();
  const sandbox = await runPod(daemon, pod(daemon, linux));
  const id = await startContainer(daemon, sandbox, container(image, more));
  return { daemon, image, sandbox, id };
}

const namespaces = (pid: number) =>
  Object.fromEntries(["net", "ipc", "uts", "pid", "mnt"].map((kind) => [kind, namespaceInode(pid, kind)]));

describe("namespaces of a pod", () => {
  it("by default each pod has its own network, ipc, uts; each container its own pid and mount", async () => {
    const { daemon, image, sandbox, id } = await inPod();
    const other = await startContainer(daemon, sandbox, container(image));
    const [a, b] = [await containerPid(daemon, id), await containerPid(daemon, other)].map(namespaces);
    const host = namespaces(process.pid);
    for (const kind of ["net", "ipc", "uts"]) {
      expect(a?.[kind], kind).toBe(b?.[kind]);
      expect(a?.[kind], kind).not.toBe(host[kind]);
    }
    for (const kind of ["pid", "mnt"]) expect(a?.[kind], kind).not.toBe(b?.[kind]);
    expect(await output(daemon, id, "echo $$; cat /proc/1/comm")).toMatch(/^\d+\nsh$/);
  });

  it("a shared pid namespace shows the processes of the pod's other containers, under a reaping first process", async () => {
    const linux = { securityContext: { namespaceOptions: { pid: NamespaceMode.POD } } };
    const security = { namespaceOptions: { pid: NamespaceMode.POD } };
    const { daemon, image, sandbox, id } = await inPod({ linux }, { security });
    const other = await startContainer(
      daemon,
      sandbox,
      container(image, { security, command: ["/bin/sh", "-c", "sleep 4242"] }),
    );
    // It has started; what its shell runs comes a moment later.
    await waitFor("the other's process", async () =>
      (await output(daemon, id, "ps -o args")).includes("sleep 4242"),
    );
    // An orphan becomes the child of the pod's first process and is reaped there.
    await output(daemon, other, "(sleep 0.05 &) ; exit 0");
    expect(await output(daemon, id, "sleep 0.2; ps -o stat,args | grep -c '^Z' || true")).toBe("0");
  });

  it("the host's network: its links are seen, and its name is the hostname", async () => {
    const { daemon, id, sandbox } = await inPod({ linux: hostNetwork, hostname: "" }, {});
    expect(sandbox.ip).toBe("");
    expect(namespaceInode(await containerPid(daemon, id), "net")).toBe(namespaceInode(process.pid, "net"));
    expect(await output(daemon, id, "hostname")).toBe(hostname());
  });

  it("the host's pid and ipc namespaces", async () => {
    const options = { pid: NamespaceMode.NODE, ipc: NamespaceMode.NODE };
    const { daemon, id } = await inPod(
      { linux: { securityContext: { namespaceOptions: options } } },
      { security: { namespaceOptions: options } },
    );
    const pid = await containerPid(daemon, id);
    expect(namespaceInode(pid, "pid")).toBe(namespaceInode(process.pid, "pid"));
    expect(namespaceInode(pid, "ipc")).toBe(namespaceInode(process.pid, "ipc"));
    expect(await output(daemon, id, "cat /proc/1/comm")).toBe(readFileSync("/proc/1/comm", "utf8").trim());
  });

  it("a container may join the pid namespace of another (TARGET)", async () => {
    const { daemon, image, sandbox, id } = await inPod({}, { command: ["/bin/sh", "-c", "sleep 4343"] });
    const guest = await startContainer(
      daemon,
      sandbox,
      container(image, { security: { namespaceOptions: { pid: NamespaceMode.TARGET, targetId: id } } }),
    );
    expect(await output(daemon, guest, "ps -o args")).toContain("sleep 4343");
  });

  it("a volume mounted on the host after the pod was made is seen by its next container", async () => {
    const { daemon, image, sandbox } = await inPod();
    await using volume = await tempDir("volume");
    execFileSync("mount", ["-t", "tmpfs", "late", volume.path]);
    try {
      writeFileSync(join(volume.path, "file"), "late\n");
      const mounts = [{ hostPath: volume.path, containerPath: "/volume", readonly: true }];
      const id = await startContainer(daemon, sandbox, container(image, { mounts }));
      expect(await output(daemon, id, "cat /volume/file")).toBe("late");
    } finally {
      await daemon.removeAllPods();
      execFileSync("umount", [volume.path]);
    }
  });
});

describe("what the containers of a pod share", () => {
  it("hostname, hosts, resolv.conf", async () => {
    const { daemon, id, sandbox } = await inPod({
      hostname: "web-0",
      dnsConfig: { servers: ["10.96.0.10", "fd00::a"], searches: ["test.svc"], options: ["ndots:5"] },
    });
    expect(await output(daemon, id, "hostname; cat /etc/hostname")).toBe("web-0\nweb-0");
    const resolv = await output(daemon, id, "cat /etc/resolv.conf");
    expect(resolv.split("\n")).toEqual([
      "search test.svc",
      "nameserver 10.96.0.10",
      "nameserver fd00::a",
      "options ndots:5",
    ]);
    const hosts = await output(daemon, id, "cat /etc/hosts");
    expect(hosts).toMatch(/127\.0\.0\.1\s+localhost/);
    expect(hosts).toMatch(new RegExp(`${sandbox.ip.replaceAll(".", "\\.")}\\s+web-0`));
  });

  it("without a DNS configuration the host's resolv.conf is copied", async () => {
    const { daemon, id } = await inPod();
    expect(await output(daemon, id, "cat /etc/resolv.conf")).toBe(
      readFileSync("/etc/resolv.conf", "utf8").trim(),
    );
  });

  it("/dev/shm: a tmpfs of 64 MiB, one for all containers", async () => {
    const { daemon, image, sandbox, id } = await inPod();
    const other = await startContainer(daemon, sandbox, container(image));
    await output(daemon, id, "echo shared > /dev/shm/x");
    expect(await output(daemon, other, "cat /dev/shm/x")).toBe("shared");
    expect(await output(daemon, id, "df -m /dev/shm | tail -1")).toMatch(/\s64\s/);
  });

  it("sysctls of the pod's namespaces, the host's unchanged", async () => {
    const before = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8");
    const { daemon, id } = await inPod({
      linux: { sysctls: { "net.ipv4.ip_local_port_range": "1024 2048", "kernel.shm_rmid_forced": "1" } },
    });
    expect(await output(daemon, id, "cat /proc/sys/net/ipv4/ip_local_port_range")).toBe("1024\t2048");
    expect(await output(daemon, id, "cat /proc/sys/kernel/shm_rmid_forced")).toBe("1");
    expect(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8")).toBe(before);
  });
});

describe("the life of a sandbox", () => {
  it("StopPodSandbox ends its containers, gives the network back, and succeeds again", async () => {
    const { daemon, id, sandbox } = await inPod();
    await daemon.client.stopPodSandbox({ podSandboxId: sandbox.id });
    await daemon.client.stopPodSandbox({ podSandboxId: sandbox.id });
    const { status } = await daemon.client.podSandboxStatus({ podSandboxId: sandbox.id });
    expect(status?.state).toBe(PodSandboxState.SANDBOX_NOTREADY);
    const stopped = await daemon.client.containerStatus({ containerId: id });
    expect(stopped.status?.exitCode).toBe(137);
    await expect(exec(daemon, id, "true")).rejects.toThrow(/FAILED_PRECONDITION|not running|exited/);
  });

  it("StopPodSandbox and RemovePodSandbox of an unknown sandbox are success", async () => {
    const { daemon } = node();
    const podSandboxId = "f".repeat(64);
    await expect(daemon.client.stopPodSandbox({ podSandboxId })).resolves.toEqual({});
    await expect(daemon.client.removePodSandbox({ podSandboxId })).resolves.toEqual({});
  });

  it("RunPodSandbox of the same pod answers the same id, of a changed one names the field", async () => {
    const { daemon } = node();
    const config = pod(daemon);
    const first = await runPod(daemon, config);
    const again = await Promise.allSettled([
      daemon.client.runPodSandbox({ config }),
      daemon.client.runPodSandbox({ config: { ...config, hostname: "other" } }),
    ]);
    if (again[0]?.status === "fulfilled") expect(again[0].value.podSandboxId).toBe(first.id);
    else expect(String(again[0]?.reason)).toContain(first.id);
    expect(again[1]?.status).toBe("rejected");
    expect(String((again[1] as PromiseRejectedResult).reason)).toMatch(/ALREADY_EXISTS.*hostname/);
  });

  it("two equal RunPodSandbox at once make one sandbox", async () => {
    const { daemon } = node();
    const config = pod(daemon);
    const ids = await Promise.all(
      [1, 2, 3].map(async () => (await daemon.client.runPodSandbox({ config })).podSandboxId),
    );
    expect(new Set(ids).size).toBe(1);
  });

  it("the list filters by id prefix, state and labels", async () => {
    const { daemon } = node();
    const a = await runPod(daemon, pod(daemon, { labels: { tier: "a", app: "x" } }));
    const b = await runPod(daemon, pod(daemon, { labels: { tier: "b", app: "x" } }));
    await daemon.client.stopPodSandbox({ podSandboxId: b.id });
    const list = async (filter: Parameters<typeof daemon.client.listPodSandbox>[0]["filter"]) =>
      (await daemon.client.listPodSandbox({ filter })).items.map(({ id }) => id).toSorted();
    expect(await list({ labelSelector: { app: "x" } })).toEqual([a.id, b.id].toSorted());
    expect(await list({ labelSelector: { tier: "b" } })).toEqual([b.id]);
    expect(await list({ id: a.id.slice(0, 13) })).toEqual([a.id]);
    expect(
      await list({ state: { state: PodSandboxState.SANDBOX_READY }, labelSelector: { app: "x" } }),
    ).toEqual([a.id]);
    expect(await list({ labelSelector: { tier: "c" } })).toEqual([]);
  });
});
