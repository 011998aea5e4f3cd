/** Pods with `hostUsers: false`, as a kubelet asks for them: who is whom, what they can and can't, what is left (KEP-127). */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type LinuxContainerSecurityContextInit,
  MountPropagation,
  NamespaceMode,
  type NamespaceOptionInit,
  type PodSandboxConfigInit,
  type UserNamespaceInit,
} from "../../cri-api/index.ts";
import { ask, crictlPortForward } from "../support/crictl-session.ts";
import { kobako } from "../support/daemon.ts";
import { namespaceInode } from "../support/host.ts";
import { containerPid, expectAgreement, expectUndisturbed, vitals } from "../support/oracle.ts";
import {
  container,
  containerStatus,
  createContainer,
  exec,
  exited,
  logFile,
  output,
  pod,
  runPod,
  startContainer,
} from "../support/pods.ts";
import { openStreams, spdy } from "../support/stream-clients.ts";
import { tempDir } from "../support/temp-dir.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const node = useNode();

const first = 1_310_720;
const length = 65_536;
const mapping = (hostId = first) => [{ hostId, containerId: 0, length }];
const users = (hostId = first): UserNamespaceInit => ({
  mode: NamespaceMode.POD,
  uids: mapping(hostId),
  gids: mapping(hostId),
});
/** What stands in the pod and, as from a kubelet, in each of its containers. */
const options = (usernsOptions = users(), more: NamespaceOptionInit = {}): NamespaceOptionInit => ({
  pid: NamespaceMode.CONTAINER,
  usernsOptions,
  ...more,
});
const userPod = (namespaceOptions = options(), more: PodSandboxConfigInit = {}): PodSandboxConfigInit =>
  pod(node().daemon, {
    ...more,
    linux: { ...more.linux, securityContext: { ...more.linux?.securityContext, namespaceOptions } },
  });

interface Asked {
  readonly namespaces?: NamespaceOptionInit;
  readonly pod?: PodSandboxConfigInit;
  readonly container?: Parameters<typeof container>[1];
  readonly security?: LinuxContainerSecurityContextInit;
}

async function inPod(asked: Asked = {}) {
  const { daemon, image } = node();
  const namespaceOptions = asked.namespaces ?? options();
  const sandbox = await runPod(daemon, userPod(namespaceOptions, asked.pod));
  const security = { namespaceOptions, ...asked.security };
  const start = (more: Parameters<typeof container>[1] = {}) =>
    startContainer(daemon, sandbox, container(image, { ...asked.container, security, ...more }));
  return { daemon, image, sandbox, security, start, id: await start() };
}

const upper = (id: string, ...path: string[]) => join(node().daemon.root, "snapshots", id, "fs", ...path);
const owner = (path: string) => {
  const { uid, gid } = lstatSync(path);
  return [uid, gid];
};
const words = (text: string) => text.trim().split(/\s+/);

describe.each([
  ["a PID namespace for each container", NamespaceMode.CONTAINER],
  ["one PID namespace", NamespaceMode.POD],
])("a pod with a user namespace and %s", (_, pid) => {
  const namespaces = options(users(), { pid });

  it("its containers' root is the first of its ids on the host", async () => {
    const { daemon, id, start } = await inPod({ namespaces });
    const [one, two] = [await containerPid(daemon, id), await containerPid(daemon, await start())];
    for (const file of ["uid_map", "gid_map"])
      expect(words(readFileSync(`/proc/${one}/${file}`, "utf8"))).toEqual([
        "0",
        String(first),
        String(length),
      ]);
    expect(statSync(`/proc/${one}`).uid).toBe(first);
    for (const kind of ["user", "net", "ipc", "uts"]) {
      expect(namespaceInode(one, kind), kind).toBe(namespaceInode(two, kind));
      expect(namespaceInode(one, kind), kind).not.toBe(namespaceInode(process.pid, kind));
    }
    expect(await output(daemon, id, "id -u; cat /proc/self/uid_map")).toMatch(/^0\n\s*0\s+1310720\s+65536$/);
    if (pid === NamespaceMode.POD) expect(await output(daemon, id, "stat -c %u /proc/1")).toBe("0");
  });

  it("files are whose they are in the image; what it writes is the mapped user's on the host", async () => {
    const { daemon, id, start, security } = await inPod({ namespaces });
    expect(await output(daemon, id, "stat -c '%u:%g %a' / /bin/busybox /home/web /root /tmp")).toBe(
      "0:0 755\n0:0 755\n1000:1000 755\n0:0 700\n0:0 1777",
    );
    await output(daemon, id, "touch /made; echo x >>/etc/group; chown 33:34 /etc/passwd; mkdir -m 700 /dir");
    expect(owner(upper(id))).toEqual([first, first]);
    expect(owner(upper(id, "made"))).toEqual([first, first]);
    expect(owner(upper(id, "etc/group"))).toEqual([first, first]);
    expect(owner(upper(id, "etc/passwd"))).toEqual([first + 33, first + 34]);
    const web = await start({
      security: { ...security, runAsUser: { value: 1000n }, runAsGroup: { value: 1000n } },
    });
    await output(daemon, web, "touch /home/web/made; ! touch /made; ! cat /root/x");
    expect(owner(upper(web, "home/web/made"))).toEqual([first + 1000, first + 1000]);
    expect((await containerStatus(daemon, web)).user?.linux?.uid).toBe(1000n);
  });

  it("the pod's files and /dev/shm are its root's, and the kernel's filesystems are there", async () => {
    const { daemon, id, start, sandbox } = await inPod({ namespaces });
    const files = "/etc/hosts /etc/hostname /etc/resolv.conf /dev/shm /dev/pts /dev/null";
    expect(words(await output(daemon, id, `stat -c %u ${files}`))).toEqual([
      "0",
      "0",
      "0",
      "0",
      "0",
      "65534",
    ]);
    await output(
      daemon,
      id,
      "echo '192.0.2.1 added' >>/etc/hosts; echo shared >/dev/shm/file; echo x >/dev/null",
    );
    expect(await output(daemon, await start(), "cat /dev/shm/file; tail -n 1 /etc/hosts")).toBe(
      "shared\n192.0.2.1 added",
    );
    expect(await output(daemon, id, "hostname")).toBe(sandbox.config.hostname);
    const types = await output(daemon, id, "awk '{print $2, $3}' /proc/mounts");
    for (const one of ["/ overlay", "/proc proc", "/sys sysfs", "/dev/mqueue mqueue", "/dev/pts devpts"])
      expect(types.split("\n")).toContain(one);
    expect(await output(daemon, id, "ls /sys/class/net")).toContain("eth0");
  });

  it("exec, attach, logs, port-forward, statistics, stop", async () => {
    const { daemon, id, sandbox } = await inPod({
      namespaces,
      container: {
        metadata: { name: "main" },
        stdin: true,
        command: [
          "/bin/sh",
          "-c",
          'trap "exit 7" TERM; echo out; echo err >/dev/stderr; while read -r l; do echo "got $l"; done; sleep 1000 & wait',
        ],
      },
    });
    const { url: execUrl } = await daemon.client.exec({
      containerId: id,
      cmd: ["/bin/sh", "-c", "tty; id -u"],
      tty: true,
      stdin: true,
      stdout: true,
    });
    using terminal = await spdy(execUrl);
    const shown = await openStreams(terminal, "error", "stdin", "stdout", "resize");
    await terminal.connection.closed;
    expect(terminal.client.text(shown.error)).toMatch(/Success/);
    expect(terminal.client.text(shown.stdout)).toMatch(/^\/dev\/pts\/\d+\r\n0\r\n$/);

    const { url: attachUrl } = await daemon.client.attach({ containerId: id, stdin: true, stdout: true });
    using attached = await spdy(attachUrl);
    const streams = await openStreams(attached, "error", "stdin", "stdout");
    attached.client.send(streams.stdin, "line\n");
    await attached.client.until(() => attached.client.text(streams.stdout).includes("got line"));
    const log = () => readFileSync(logFile(sandbox, "main"), "utf8");
    await waitFor("the log", async () => /stdout F out\n/.test(log()) && /stderr F err\n/.test(log()));

    await output(daemon, id, "mkdir /www; echo served >/www/index.html; httpd -p 127.0.0.1:8080 -h /www");
    const { session, local } = await crictlPortForward(daemon.socket, "spdy", sandbox.id, 8080);
    using _ = session;
    expect(await ask(local, "GET / HTTP/1.0\r\n\r\n")).toContain("served");

    const { stats } = await daemon.client.containerStats({ containerId: id });
    expect(stats?.memory?.workingSetBytes?.value).toBeGreaterThan(0n);
    const { stats: podStats } = await daemon.client.podSandboxStats({ podSandboxId: sandbox.id });
    expect(podStats?.linux?.network?.defaultInterface?.name).toBe("eth0");
    const places = readFileSync(`/proc/${await containerPid(daemon, id)}/cgroup`, "utf8")
      .trim()
      .split("\n");
    for (const line of places)
      if (!line.endsWith(":/")) expect(line).toContain(sandbox.config.linux?.cgroupParent);

    await daemon.client.stopContainer({ containerId: id, timeout: 10n });
    expect((await containerStatus(daemon, id)).exitCode).toBe(7);
  });

  it("a daemon that was killed takes it up again, and makes more containers in it", async () => {
    const { daemon, id, sandbox, start } = await inPod({ namespaces });
    const before = await vitals(daemon);
    await daemon.restart("SIGKILL");
    expectUndisturbed(before);
    await expectAgreement(daemon);
    const more = await start();
    expect(await output(daemon, more, "id -u; touch /made")).toBe("0");
    expect(owner(upper(more, "made"))).toEqual([first, first]);
    expect(namespaceInode(await containerPid(daemon, more), "user")).toBe(
      namespaceInode(await containerPid(daemon, id), "user"),
    );
    const { status } = await daemon.client.podSandboxStatus({ podSandboxId: sandbox.id });
    expect(status?.linux?.namespaces?.options?.usernsOptions).toEqual(users());
  });
});

describe("a pod with a user namespace", () => {
  it("is offered by Status for the bundled runtime, and for none that would refuse it", async () => {
    const { runtimeHandlers } = await node().daemon.client.status({});
    expect(runtimeHandlers.map(({ name, features }) => [name, features?.userNamespaces])).toEqual([
      ["", true],
      ["builtin", true],
    ]);
  });

  it("its sysctls are its own: groups by their numbers inside", async () => {
    const sysctls = {
      "net.ipv4.ping_group_range": "0 65535",
      "kernel.shm_rmid_forced": "1",
      "net.ipv4.ip_unprivileged_port_start": "0",
    };
    const { daemon, id } = await inPod({ pod: { linux: { sysctls } } });
    const script = "cat /proc/sys/net/ipv4/ping_group_range /proc/sys/kernel/shm_rmid_forced";
    expect(words(await output(daemon, id, script))).toEqual(["0", "65535", "1"]);
    const fromOutside = [
      "-t",
      String(await containerPid(daemon, id)),
      "-n",
      "cat",
      "/proc/sys/net/ipv4/ping_group_range",
    ];
    expect(words(execFileSync("nsenter", fromOutside).toString())).toEqual([
      String(first),
      String(first + length - 1),
    ]);
  });

  it("all capabilities are for what is the pod's; the host's devices, settings and processes are out of reach", async () => {
    const { daemon, id } = await inPod({
      security: {
        capabilities: { addCapabilities: ["ALL"] },
        seccomp: { profileType: 1 },
        maskedPaths: [],
        readonlyPaths: [],
      },
    });
    const inside = [
      "mount -t tmpfs none /mnt",
      "hostname renamed",
      "echo 1 >/proc/sys/net/ipv4/ip_forward",
      "ip link add dummy0 type dummy || ip link set lo mtu 1000",
      "echo 77 >/proc/sys/kernel/shmmni",
    ];
    expect(await output(daemon, id, `mkdir /mnt; ${inside.join(" && ")} && echo all`)).toBe("all");
    // What stands there is written back: a failure of this test must not change the machine.
    const outside = [
      "for f in kernel/core_pattern vm/swappiness; do cat /proc/sys/$f >/proc/sys/$f && echo $f; done",
      "mknod /tmp/null c 1 3 && echo mknod",
      "mount -t ext4 /dev/vda /mnt && echo mount",
      "mount -t debugfs none /mnt && echo debugfs",
      "cat /proc/kcore | head -c 1 | grep -q . && echo kcore",
      "echo 0 >/sys/kernel/mm/ksm/run && echo sysfs",
      `kill -0 ${process.pid} && echo process`,
    ];
    expect(await output(daemon, id, `{ ${outside.join("\n")}\ntrue; } 2>/dev/null`)).toBe("");
  });

  it("its escape would be nobody's: other pods' files, and the host's, are not its root's", async () => {
    const a = await inPod();
    const b = await inPod({ namespaces: options(users(first + length)) });
    await output(b.daemon, b.id, "umask 077; echo secret >/secret; mkdir /closed");
    const mounts = [
      { hostPath: upper(b.id), containerPath: "/b" },
      { hostPath: "/etc", containerPath: "/host" },
    ];
    const peeping = await a.start({ mounts });
    for (const script of [
      "cat /b/secret",
      "ls /b/closed",
      "echo x >>/b/secret",
      "rm /b/secret",
      "cat /host/shadow",
      "touch /host/x",
    ])
      expect((await exec(a.daemon, peeping, script)).exitCode, script).not.toBe(0);
    expect(await output(b.daemon, b.id, "cat /secret")).toBe("secret");
  });

  it("a volume that is mapped keeps its owners; one that is not shows nobody's files", async () => {
    await using dir = await tempDir();
    chmodSync(dir.path, 0o755);
    writeFileSync(join(dir.path, "file"), "content");
    chownSync(join(dir.path, "file"), 1000, 2000);
    const maps = { uidMappings: mapping(), gidMappings: mapping() };
    const { daemon, id } = await inPod({
      container: {
        mounts: [
          { hostPath: dir.path, containerPath: "/mapped", ...maps },
          { hostPath: dir.path, containerPath: "/plain" },
        ],
      },
    });
    const script =
      "stat -c %u:%g /mapped/file /plain/file; touch /mapped/made; chown 5:6 /mapped/made; ! touch /plain/x";
    expect(await output(daemon, id, script)).toBe("1000:2000\n65534:65534");
    expect(owner(join(dir.path, "made"))).toEqual([5, 6]);
    expect((await containerStatus(daemon, id)).mounts[0]).toMatchObject(maps);
  });

  it("a volume receives what the host mounts in it later, and what the pod mounts stays in the pod", async () => {
    await using dir = await tempDir();
    const at = (name: string) => join(dir.path, name);
    execFileSync("mount", ["-t", "tmpfs", "-o", "mode=0755", "volume", dir.path]);
    try {
      execFileSync("mount", ["--make-shared", dir.path]);
      for (const name of ["late", "own"]) mkdirSync(at(name));
      const propagation = MountPropagation.PROPAGATION_HOST_TO_CONTAINER;
      const { daemon, id } = await inPod({
        container: { mounts: [{ hostPath: dir.path, containerPath: "/v", propagation }] },
        security: { capabilities: { addCapabilities: ["SYS_ADMIN"] }, seccomp: { profileType: 1 } },
      });
      execFileSync("mount", ["-t", "tmpfs", "late", at("late")]);
      await output(
        daemon,
        id,
        "mount -t tmpfs own /v/own; umount /v/late || true; grep -q ' /v/own ' /proc/mounts",
      );
      const mounts = readFileSync("/proc/self/mounts", "utf8");
      expect(mounts).toContain(` ${at("late")} `);
      expect(mounts).not.toContain(` ${at("own")} `);
      await daemon.removeAllPods();
    } finally {
      execFileSync("umount", ["-R", dir.path]);
    }
  });

  it("a volume whose filesystem can't be mapped fails the container with its name, and nothing is left", async () => {
    const { daemon, image, sandbox, security } = await inPod();
    await using dir = await tempDir();
    const plain = join(dir.path, "ramfs");
    mkdirSync(plain);
    execFileSync("mount", ["-t", "ramfs", "ramfs", plain]);
    try {
      const mounts = [
        { hostPath: plain, containerPath: "/v", uidMappings: mapping(), gidMappings: mapping() },
      ];
      await expect(createContainer(daemon, sandbox, container(image, { security, mounts }))).rejects.toThrow(
        new RegExp(`${plain}.*filesystem support it`),
      );
    } finally {
      execFileSync("umount", [plain]);
    }
  });

  it("kobako cp makes files of its root, also in a volume that is mapped", async () => {
    await using dir = await tempDir();
    const maps = { uidMappings: mapping(), gidMappings: mapping() };
    const { daemon, id } = await inPod({
      container: { mounts: [{ hostPath: dir.path, containerPath: "/v", ...maps }] },
    });
    const address = `unix://${daemon.socket}`;
    const cp = (...args: string[]) =>
      execFileSync(kobako, ["--address", address, "cp", ...args], { env: {} });
    mkdirSync(join(dir.path, "from"));
    writeFileSync(join(dir.path, "from/file"), "content");
    cp(join(dir.path, "from"), `${id}:/copied`);
    cp(join(dir.path, "from/file"), `${id}:/v/made`);
    const script = "stat -c %u:%g /copied /copied/file /v/made; cat /copied/file";
    expect(await output(daemon, id, script)).toBe("0:0\n0:0\n0:0\ncontent");
    expect(owner(join(dir.path, "made"))).toEqual([0, 0]);
    await output(daemon, id, "echo back >/back; chown 1000 /back");
    cp(`${id}:/back`, join(dir.path, "back"));
    expect(owner(join(dir.path, "back"))).toEqual([0, 0]);
  });

  it("a privileged container has all rights inside, and the host's devices only as nobody", async () => {
    const { daemon, id } = await inPod({
      pod: { linux: { securityContext: { privileged: true } } },
      security: { privileged: true },
    });
    expect(await output(daemon, id, "mkdir /mnt; mount -t tmpfs none /mnt && echo mounted")).toBe("mounted");
    const script = "echo x >/dev/null; cat /proc/sys/vm/swappiness >/proc/sys/vm/swappiness; true";
    expect((await exec(daemon, id, script)).stderr).toMatch(/Permission denied|Operation not permitted/);
    const disk = readFileSync("/proc/partitions", "utf8")
      .split("\n")
      .map((line) => words(line)[3])
      .find((name) => name && existsSync(`/dev/${name}`));
    if (disk) expect((await exec(daemon, id, `head -c 1 /dev/${disk}`)).exitCode).not.toBe(0);
  });

  it("is not ready when its monitor was killed, and goes without a trace", async () => {
    const { daemon, id, sandbox } = await inPod({ namespaces: options(users(), { pid: NamespaceMode.POD }) });
    const { info } = await daemon.client.podSandboxStatus({ podSandboxId: sandbox.id, verbose: true });
    process.kill((JSON.parse(info.info ?? "{}") as { pid: number }).pid, "SIGKILL");
    expect((await exited(daemon, id)).reason).toBe("MonitorLost");
    await daemon.removeAllPods();
    await daemon.expectClean(node().clean);
  });

  it.each([
    [
      "the host's network",
      options(users(), { network: NamespaceMode.NODE }),
      "namespace_options.network is NODE",
    ],
    ["the host's PIDs", options(users(), { pid: NamespaceMode.NODE }), "namespace_options.pid is NODE"],
    ["the host's IPC", options(users(), { ipc: NamespaceMode.NODE }), "namespace_options.ipc is NODE"],
    ["no mapping", options({ mode: NamespaceMode.POD }), "userns_options.uids: 0 mappings"],
    [
      "two lines",
      options({ ...users(), uids: [...mapping(), ...mapping(1)] }),
      "userns_options.uids: 2 mappings",
    ],
    ["no root", options({ ...users(), uids: [{ hostId: 1, containerId: 1, length: 2 }] }), "container_id 1"],
    [
      "ids beyond the last",
      options({ ...users(), uids: [{ hostId: 2 ** 32 - 2, containerId: 0, length: 2 }] }),
      "length 2 from host_id 4294967294",
    ],
    ["groups of others", options({ ...users(), gids: mapping(7) }), "not the same range"],
    ["mode CONTAINER", options({ mode: NamespaceMode.CONTAINER }), "userns_options.mode is CONTAINER"],
    [
      "mode NODE with mappings",
      options({ ...users(), mode: NamespaceMode.NODE }),
      "mode NODE takes no mappings",
    ],
  ])("is refused with %s, naming the field", async (_, namespaces, message) => {
    const { daemon } = node();
    await expect(daemon.client.runPodSandbox({ config: userPod(namespaces) })).rejects.toThrow(message);
  });

  it("refuses containers of another user namespace, users without a number, volumes of other owners", async () => {
    const { daemon, image, sandbox, security } = await inPod();
    const create = (more: Parameters<typeof container>[1]) =>
      createContainer(daemon, sandbox, container(image, { security, ...more }));
    for (const usernsOptions of [{ mode: NamespaceMode.NODE }, users(1)])
      await expect(create({ security: { namespaceOptions: options(usernsOptions) } })).rejects.toThrow(
        /its pod has POD/,
      );
    await expect(create({ security: { ...security, runAsUser: { value: 65_536n } } })).rejects.toThrow(
      /65536 is not in/,
    );
    const foreign = {
      hostPath: "/tmp",
      containerPath: "/v",
      uidMappings: mapping(1),
      gidMappings: mapping(1),
    };
    await expect(create({ mounts: [foreign] })).rejects.toThrow(/not the pod's range/);
    const sending = {
      hostPath: "/tmp",
      containerPath: "/v",
      propagation: MountPropagation.PROPAGATION_BIDIRECTIONAL,
    };
    await expect(create({ mounts: [sending] })).rejects.toThrow(/bidirectional propagation/);
    const plain = await runPod(daemon);
    await expect(
      createContainer(
        daemon,
        plain,
        container(image, { mounts: [{ ...foreign, uidMappings: mapping(), gidMappings: mapping() }] }),
      ),
    ).rejects.toThrow(/the pod has no user namespace/);
  });
});
