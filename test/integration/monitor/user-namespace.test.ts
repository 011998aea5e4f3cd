/** Pods with a user namespace, as the monitor's protocol promises them: who owns what, inside and outside. */
import {
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { childrenOf, MonitorPod, type RawConnection } from "../../support/monitor.ts";
import { waitFor } from "../../support/wait.ts";

const idMap = { host: 300_000, length: 65_536 };
/** All that a root of the namespace may have. */
const names = [
  "CAP_SYS_ADMIN",
  "CAP_NET_ADMIN",
  "CAP_MKNOD",
  "CAP_DAC_OVERRIDE",
  "CAP_SYS_PTRACE",
  "CAP_KILL",
  "CAP_SYS_TIME",
];
const capable = { process: { capabilities: { bounding: names, permitted: names, effective: names } } };
const namespace = (pid: number, kind: string) => readlinkSync(`/proc/${pid}/ns/${kind}`);

/** What `script` prints in a container that has ended. */
async function output(
  pod: MonitorPod,
  connection: RawConnection,
  script: string,
  options: Partial<Parameters<MonitorPod["run"]>[1]> = {},
): Promise<string> {
  const id = await pod.shell(connection, script, options);
  await connection.event("exit", id);
  return pod.logText(id);
}

const pidOf = async (connection: RawConnection, id: string): Promise<number> => {
  const { containers } = await connection.request("state");
  return (containers as { id: string; pid: number }[]).find((one) => one.id === id)?.pid ?? 0;
};

describe.each(["container", "pod"])("a pod with a user namespace and pid: %s", (pid) => {
  it("its containers are in it, and so are the pod's other namespaces; the monitor is not", async () => {
    await using pod = await MonitorPod.start({ idMap, namespaces: { pid } });
    const connection = await pod.connect();
    const ids = [await pod.shell(connection, "sleep 100"), await pod.shell(connection, "sleep 100")];
    const pids = await Promise.all(ids.map((id) => pidOf(connection, id)));
    expect(readFileSync(`/proc/${pids[0]}/uid_map`, "utf8").trim().split(/\s+/)).toEqual([
      "0",
      "300000",
      "65536",
    ]);
    expect(readFileSync(`/proc/${pids[0]}/gid_map`, "utf8").trim().split(/\s+/)).toEqual([
      "0",
      "300000",
      "65536",
    ]);
    expect(statSync(`/proc/${pids[0]}`).uid).toBe(300_000);
    expect(namespace(pids[0] ?? 0, "user")).toBe(namespace(pids[1] ?? 0, "user"));
    expect(namespace(pids[0] ?? 0, "user")).not.toBe(namespace(process.pid, "user"));
    expect(namespace(pod.pid, "user")).toBe(namespace(process.pid, "user"));
    // What only the owner of a namespace may do in it.
    const script =
      "hostname other && ip link set lo down && ip link set lo up && mount -t tmpfs none /tmp && echo done";
    expect(await output(pod, await pod.subscribe(), script, capable)).toBe("done\n");
  });

  it("the image's files are root's inside, what it writes is the mapped root's outside", async () => {
    await using pod = await MonitorPod.start({ idMap, namespaces: { pid } });
    const connection = await pod.subscribe();
    chownSync(join(pod.folder, "layer/tmp"), 1000, 1000);
    const script =
      "stat -c %u:%g / /bin/busybox /tmp /dev/shm; touch /own; echo x >>/etc/group; echo y >/dev/shm/s";
    expect(await output(pod, connection, script)).toBe("0:0\n0:0\n1000:1000\n0:0\n");
    for (const name of ["own", "etc/group"]) {
      const { uid, gid } = lstatSync(join(pod.folder, "c1.upper", name));
      expect([uid, gid], name).toEqual([300_000, 300_000]);
    }
    expect(lstatSync(join(pod.folder, "layer/etc/group")).uid).toBe(0);
    expect(await output(pod, connection, "cat /dev/shm/s")).toBe("y\n");
  });

  it("several layers: the higher hides the lower, and what it removed stays removed", async () => {
    await using pod = await MonitorPod.start({ idMap, namespaces: { pid } });
    const connection = await pod.subscribe();
    const params = pod.prepareParams("many");
    const top = Array.from({ length: 30 }, (_, i) => join(pod.folder, `top${i}`));
    for (const [i, folder] of top.entries()) {
      mkdirSync(folder);
      writeFileSync(join(folder, "who"), `${i}\n`);
      writeFileSync(join(folder, `only${i}`), "");
      chownSync(join(folder, `only${i}`), i, i);
    }
    const rootfs = params.rootfs as { lower: string[] };
    await connection.request("prepare", {
      ...params,
      rootfs: { ...rootfs, lower: [...top, ...rootfs.lower] },
    });
    const args = [
      "/bin/sh",
      "-c",
      "cat /who; stat -c %u /only0 /only17 /only29; grep -c -e layers -e top /proc/mounts",
    ];
    await connection.request("create", pod.createParams("many", { args }));
    await connection.request("start", { container: "many" });
    await connection.event("exit", "many");
    expect(pod.logText("many")).toBe("0\n0\n17\n29\n0\n");
    expect(readdirSync(join(pod.runDir, "many"))).not.toContain("rootfs.layers");
  });

  it("exec enters it, as root and as another user", async () => {
    await using pod = await MonitorPod.start({ idMap, namespaces: { pid } });
    const connection = await pod.connect();
    const id = await pod.shell(connection, "sleep 100");
    for (const uid of [0, 1000]) {
      const stream = await pod.connect();
      const process = {
        user: { uid, gid: uid },
        args: ["/bin/sh", "-c", "id -u; cat /proc/self/uid_map; echo out >/dev/stdout"],
        env: ["PATH=/bin"],
        cwd: "/",
      };
      await stream.request("exec", { container: id, process, tty: false, stdin: false, timeout_ms: 0 });
      const { stdout, stderr, status } = await stream.collect();
      expect([stderr, status.exit_code]).toEqual(["", 0]);
      expect(stdout.trim().split(/\s+/)).toEqual([String(uid), "0", "300000", "65536", "out"]);
    }
  });

  it("leaves nothing when it ends", async () => {
    await using pod = await MonitorPod.start({ idMap, namespaces: { pid } });
    const connection = await pod.connect();
    await pod.shell(connection, "sleep 100");
    const children = childrenOf(pod.pid);
    await connection.request("shutdown");
    await waitFor(
      "the end of the monitor's children",
      () => children.every((one) => isGone(one)) || undefined,
    );
    expect(pod.log).toBe("");
  });
});

const stateOf = async (connection: RawConnection): Promise<unknown> =>
  ((await connection.request("state")).pod as { pause_pid: unknown }).pause_pid;

const isGone = (pid: number): boolean => {
  try {
    statSync(`/proc/${pid}`);
    return false;
  } catch {
    return true;
  }
};

describe("a pod with a user namespace", () => {
  it("sysctls are written from inside: groups are the pod's", async () => {
    await using pod = await MonitorPod.start({
      idMap,
      sysctls: {
        "net.ipv4.ping_group_range": "0 1000",
        "net.ipv4.ip_unprivileged_port_start": "80",
        "kernel.shmmni": "77",
      },
    });
    const script =
      "cat /proc/sys/net/ipv4/ping_group_range /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni";
    expect((await output(pod, await pod.subscribe(), script)).trim().split(/\s+/)).toEqual([
      "0",
      "1000",
      "80",
      "77",
    ]);
  });

  it("a group without a number inside is refused for a sysctl, and nothing is left", async () => {
    await using pod = MonitorPod.make({ idMap, sysctls: { "net.ipv4.ping_group_range": "0 2147483647" } });
    const answer = await pod.spawn();
    expect(JSON.stringify(answer)).toMatch(/ping_group_range.*Invalid argument/);
  });

  it("standard output can be opened again, by root and by a user", async () => {
    await using pod = await MonitorPod.start({ idMap });
    const connection = await pod.subscribe();
    expect(await output(pod, connection, "echo a >/dev/stdout; echo b >/dev/stderr")).toBe("a\nb\n");
    const process = { user: { uid: 1000, gid: 1000 } };
    expect(await output(pod, connection, "echo a >/dev/stdout", { process })).toBe("a\n");
  });

  it("a volume mapped as the pod keeps its owners; one that is not shows nobody's files", async () => {
    await using pod = await MonitorPod.start({ idMap });
    const connection = await pod.subscribe();
    const volume = join(pod.folder, "volume");
    mkdirSync(volume);
    writeFileSync(join(volume, "file"), "");
    chownSync(join(volume, "file"), 1000, 1001);
    const map = [{ containerID: 0, hostID: idMap.host, size: idMap.length }];
    const mounts = [
      {
        destination: "/mapped",
        type: "bind",
        source: volume,
        options: ["rbind"],
        uidMappings: map,
        gidMappings: map,
      },
      { destination: "/plain", type: "bind", source: volume, options: ["rbind"] },
    ];
    const script = "stat -c %u:%g /mapped/file /plain/file; touch /mapped/made";
    expect(await output(pod, connection, script, { mounts })).toBe("1000:1001\n65534:65534\n");
    expect(lstatSync(join(volume, "made")).uid).toBe(0);
  });

  it("a volume whose filesystem can't be mapped is named", async () => {
    await using pod = await MonitorPod.start({ idMap });
    const connection = await pod.connect();
    const mounts = [{ destination: "/p", type: "bind", source: "/proc/sys", options: ["rbind", "idmap"] }];
    await expect(pod.create(connection, { args: ["/bin/true"], mounts })).rejects.toThrow(/\/proc\/sys/);
  });

  it("what its root may not: the host's devices, mounts, settings, processes", async () => {
    await using pod = await MonitorPod.start({ idMap });
    const connection = await pod.subscribe();
    // Written back as they are: a failure of this test must not change the machine.
    const script = [
      "mknod /tmp/null c 1 3 && echo mknod",
      "cat /proc/sys/kernel/sysrq >/proc/sys/kernel/sysrq && echo setting",
      "cat /proc/sys/vm/swappiness >/proc/sys/vm/swappiness && echo setting",
      "mount -t ext4 /dev/vda /tmp && echo mount",
      'date -s "$(date "+%Y-%m-%d %H:%M:%S")" 2>&1 | grep -q permitted || echo clock',
      "true",
    ].join("\n");
    expect(await output(pod, connection, `{ ${script}\n} 2>/dev/null`, capable)).toBe("");
  });

  it("the reaping first process can't be looked into or killed by the pod's root", async () => {
    await using pod = await MonitorPod.start({ idMap, namespaces: { pid: "pod" } });
    const connection = await pod.subscribe();
    const script =
      "stat -c %u /proc/1; kill -9 1; ls /proc/1/root/ 2>/dev/null && echo root; ls /proc/1/fd && echo fd; true";
    expect(await output(pod, connection, `{ ${script}; } 2>/dev/null`, capable)).toBe("0\n");
    expect(await stateOf(connection)).toBe(pod.pausePid);
  });

  it.each([
    [{ host: 300_000 }],
    [{ host: 300_000, length: 0 }],
    [{ host: 4_294_967_295, length: 1 }],
    [{ host: 0, length: 4_294_967_296 }],
    ["0 300000 65536"],
  ])("a start request with id_map %j is refused", async (map) => {
    await using pod = MonitorPod.make();
    expect(JSON.stringify(await pod.spawn({ id_map: map }))).toMatch(/id_map.*is no range of ids/);
  });
});
