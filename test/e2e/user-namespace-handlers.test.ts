/** Pods with `hostUsers: false` over external runtimes: those that map mounts make them, the others are refused by name. */
import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { NamespaceMode, type NamespaceOptionInit } from "../../cri-api/index.ts";
import { containerPid } from "../support/oracle.ts";
import {
  container,
  containerStatus,
  exec,
  logFile,
  output,
  pod,
  runPod,
  startContainer,
} from "../support/pods.ts";
import { toolPaths } from "../support/shims.ts";
import { tempDir } from "../support/temp-dir.ts";
import { useNode } from "../support/use-node.ts";

const [runc = "", runsc = "", runcShim = ""] = toolPaths("runc", "runsc", "containerd-shim-runc-v2");
const own = new URL("../../build/bin/kobako-oci", import.meta.url).pathname;
const trixie = new URL("../../hack/trixie", import.meta.url).pathname;
const crun = execFileSync(trixie, ["crun"], { encoding: "utf8" }).trim();
const node = useNode({
  config: `[runtimes.runc]
type = "oci"
path = "${runc}"
[runtimes.own]
type = "oci"
path = "${own}"
[runtimes.crun]
type = "oci"
path = "${crun}"
[runtimes.runsc]
type = "oci"
path = "${runsc}"
[runtimes.shim]
type = "shim-v2"
path = "${runcShim}"
options = { binary_name = "${runc}" }`,
});

const first = 1_310_720;
const line = { hostId: first, containerId: 0, length: 65_536 };
const namespaces = (pid: NamespaceMode): NamespaceOptionInit => ({
  pid,
  usernsOptions: { mode: NamespaceMode.POD, uids: [line], gids: [line] },
});

async function offered(): Promise<Map<string, boolean | undefined>> {
  const { runtimeHandlers } = await node().daemon.client.status({});
  return new Map(runtimeHandlers.map(({ name, features }) => [name, features?.userNamespaces]));
}

describe.each([
  ["runc", NamespaceMode.CONTAINER],
  ["runc", NamespaceMode.POD],
  ["own", NamespaceMode.POD],
  ["own", NamespaceMode.CONTAINER],
  ["crun", NamespaceMode.CONTAINER],
  ["crun", NamespaceMode.POD],
])("handler %s, pid mode %s", (handler, pid) => {
  it("a pod with a user namespace: ids, files, volumes, execs, output, its end", async () => {
    expect((await offered()).get(handler)).toBe(true);
    const { daemon, image } = node();
    await using dir = await tempDir();
    const namespaceOptions = namespaces(pid);
    const sandbox = await runPod(
      daemon,
      pod(daemon, { linux: { securityContext: { namespaceOptions } } }),
      handler,
    );
    const volume = { hostPath: dir.path, containerPath: "/v", uidMappings: [line], gidMappings: [line] };
    const id = await startContainer(
      daemon,
      sandbox,
      container(image, {
        metadata: { name: "main" },
        command: [
          "/bin/sh",
          "-c",
          "trap 'exit 7' TERM; echo out >/dev/stdout; touch /made /v/made; sleep 1000 & wait",
        ],
        mounts: [volume],
        security: { namespaceOptions },
      }),
    );
    const host = await containerPid(daemon, id);
    expect(readFileSync(`/proc/${host}/uid_map`, "utf8").trim().split(/\s+/)).toEqual([
      "0",
      String(first),
      "65536",
    ]);
    expect(await output(daemon, id, "id -u; stat -c %u / /bin/busybox /etc/hosts /dev/shm /v")).toBe(
      "0\n0\n0\n0\n0\n0",
    );
    expect(statSync(join(daemon.root, "snapshots", id, "fs/made")).uid).toBe(first);
    expect(statSync(join(dir.path, "made")).uid).toBe(0);
    expect((await exec(daemon, id, "echo again >/dev/stdout")).stdout).toBe("again\n");
    expect(readFileSync(logFile(sandbox, "main"), "utf8")).toMatch(/stdout F out\n/);
    await daemon.restart("SIGKILL");
    expect(await output(daemon, id, "cat /proc/sys/net/ipv4/ip_forward; ls /sys/class/net")).toContain(
      "eth0",
    );
    await daemon.client.stopContainer({ containerId: id, timeout: 10n });
    expect((await containerStatus(daemon, id)).exitCode).toBe(7);
  });
});

describe("handlers without user namespaces", () => {
  it.each(["runsc", "shim"])("%s is refused by its name, as Status says", async (handler) => {
    const { daemon } = node();
    expect((await offered()).get(handler)).toBe(false);
    const config = pod(daemon, {
      linux: { securityContext: { namespaceOptions: namespaces(NamespaceMode.POD) } },
    });
    await expect(daemon.client.runPodSandbox({ config, runtimeHandler: handler })).rejects.toThrow(
      `runtime handler "${handler}" can't make a pod with a user namespace`,
    );
  });
});
