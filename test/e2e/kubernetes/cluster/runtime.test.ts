/** What a pod asks of its runtime: handlers, images, limits, privileges, namespaces, streams. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { getRuntime } from "../../../../hack/runtimes.ts";
import { shell, sleeps, useNamespace } from "../../../support/cluster.ts";
import { containerStatus, KubeletApi } from "../../../support/kubelet.ts";
import { waitFor } from "../../../support/wait.ts";

const namespace = useNamespace();

async function event(pod: string, what: RegExp): Promise<void> {
  const seen = async () => (await namespace().events(pod)).some((text) => what.test(text));
  await waitFor(`an event ${what}`, seen, { timeoutMs: 60_000, intervalMs: 200 });
}

/** What `program state` says of a container. */
function stateBy(program: string, id: string): unknown {
  const pods = join(namespace().node.kobakoFolder, "run/pods");
  const root = readdirSync(pods)
    .map((pod) => join(pods, pod, "rt"))
    .find((path) => existsSync(join(path, id)));
  if (root === undefined) throw new Error(`no program has a record of container ${id} below ${pods}`);
  return JSON.parse(execFileSync(program, [`--root=${root}`, "state", id], { encoding: "utf8" }));
}

describe.concurrent("RuntimeClass", () => {
  it("a known handler runs the pod, an unknown one is refused with the names of those that are known", async () => {
    const { nodes, name: ns } = namespace();
    for (const [name, handler] of [
      ["good", "second"],
      ["bad", "nothing"],
    ] as const)
      await nodes.createRuntimeClass({ body: { metadata: { name: `${ns}-${name}` }, handler } });
    try {
      expect(await namespace().output("echo hi", {}, { runtimeClassName: `${ns}-good` })).toBe("hi");
      const bad = await namespace().pod({ runtimeClassName: `${ns}-bad`, containers: [shell("true")] });
      await event(bad, /FailedCreatePodSandBox:.*"nothing" is not configured: known are builtin, second/);
      await namespace().deletePod(bad);
    } finally {
      for (const name of ["good", "bad"]) await nodes.deleteRuntimeClass({ name: `${ns}-${name}` });
    }
  });

  it.each(["runc", "crun"])("handler %s: that program runs the pod, and an exec in it", async (handler) => {
    const { nodes, name: ns } = namespace();
    const className = `${ns}-${handler}`;
    await nodes.createRuntimeClass({ body: { metadata: { name: className }, handler } });
    try {
      const { name, status } = await namespace().running({
        runtimeClassName: className,
        containers: [shell(`echo hi; ${sleeps}`)],
      });
      expect(await namespace().logs(name)).toBe("hi\n");
      expect(await namespace().sh(name, "echo on")).toBe("on");
      const containerId = status?.containerStatuses?.[0]?.containerID?.replace("kobako://", "") ?? "";
      // The program's own record of the container, in the pod's folder, is read by no other.
      expect(stateBy(await getRuntime(handler), containerId)).toMatchObject({
        id: containerId,
        status: "running",
      });
    } finally {
      await nodes.deleteRuntimeClass({ name: className });
    }
  });
});

describe.concurrent("user namespaces (hostUsers: false)", () => {
  it("each pod has ids of its own, volumes keep their owners, probes, exec and its address are as in any pod", async () => {
    const volumes = [
      { name: "disk", emptyDir: {} },
      { name: "token", emptyDir: { medium: "Memory" } },
    ];
    const volumeMounts = [
      { name: "disk", mountPath: "/disk" },
      { name: "token", mountPath: "/memory" },
    ];
    const probe = { exec: { command: ["/bin/sh", "-c", "test $(id -u) = 0"] }, periodSeconds: 1 };
    const web = {
      hostUsers: false,
      securityContext: { fsGroup: 2000 },
      volumes,
      containers: [
        shell(
          `mkdir /www; echo served >/www/index.html; httpd -p 8080 -h /www; touch /disk/made; ${sleeps}`,
          {
            volumeMounts,
            readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
            livenessProbe: probe,
          },
        ),
        shell(sleeps, { name: "user", volumeMounts, securityContext: { runAsUser: 1000, runAsGroup: 1000 } }),
      ],
    };
    const pods = await Promise.all([namespace().running(web), namespace().running(web)]);
    const firsts = await Promise.all(
      pods.map(async ({ name }) => {
        const [inside, outside, length] = (await namespace().sh(name, "cat /proc/self/uid_map"))
          .trim()
          .split(/\s+/);
        expect([inside, length]).toEqual(["0", "65536"]);
        return outside;
      }),
    );
    expect(new Set([...firsts, "0"]).size).toBe(3);
    const { name, status } = pods[0];
    const token = "/var/run/secrets/kubernetes.io/serviceaccount";
    expect(
      await namespace().sh(name, "stat -c %u:%g / /etc/hosts /disk/made /memory; cat /etc/hosts >/dev/null"),
    ).toBe("0:0\n0:0\n0:2000\n0:2000");
    expect(await namespace().sh(name, `wc -c <${token}/namespace`)).toBe(String(namespace().name.length));
    await namespace().sh(name, "echo x >/disk/by-user; echo y >/memory/by-user", "user");
    expect(await namespace().sh(name, "stat -c %u:%g /disk/by-user")).toBe("1000:2000");
    expect(await namespace().output(`wget -qO- http://${status?.podIP}:8080/`)).toBe("served");
  });
});

describe.concurrent("images", () => {
  it("one that is not there: ErrImagePull, then ImagePullBackOff", async () => {
    const image = "registry.kobako.test/missing:1";
    const name = await namespace().pod({ containers: [shell("true", { image })] });
    await event(name, /^Failed: .*missing:1/);
    await event(name, /^BackOff: /);
    expect(containerStatus(await namespace().read(name), "c")?.state?.waiting?.reason).toMatch(
      /^(ErrImagePull|ImagePullBackOff)$/,
    );
  });
});

describe.concurrent("limits", () => {
  it("are in the container's cgroup, and a resize changes them without a restart", async () => {
    const resources = (memory: string) => ({
      requests: { memory, cpu: "100m" },
      limits: { memory, cpu: "500m" },
    });
    const { name } = await namespace().running({
      containers: [shell(sleeps, { resources: resources("64Mi") })],
    });
    const files =
      "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null || true";
    const limit = () => namespace().sh(name, files);
    expect(await limit()).toBe(String(64 << 20));
    await namespace().core.patchNamespacedPodResize({
      namespace: namespace().name,
      name,
      body: [{ op: "replace", path: "/spec/containers/0/resources", value: resources("96Mi") }],
    });
    await waitFor("the new limit", async () => (await limit()) === String(96 << 20), {
      timeoutMs: 60_000,
      intervalMs: 200,
    });
    expect(containerStatus(await namespace().read(name), "c")?.restartCount).toBe(0);
  });

  it("a container over its memory ends as OOMKilled", async () => {
    const pod = await namespace().ended({
      containers: [
        shell("x=$(head -c 100000000 /dev/zero | tr '\\0' a); echo $x", {
          resources: { limits: { memory: "32Mi" } },
        }),
      ],
    });
    expect(containerStatus(pod, "c")?.state?.terminated).toMatchObject({
      reason: "OOMKilled",
      exitCode: 137,
    });
  });
});

describe.concurrent("security", () => {
  it("capabilities, a read-only root, seccomp, sysctls and privilege are as asked for", async () => {
    const status = "grep -E '^(CapEff|Seccomp|NoNewPrivs):' /proc/self/status | tr -d '\\t'";
    const plain = await namespace().output(status, {
      securityContext: {
        capabilities: { drop: ["ALL"], add: ["NET_ADMIN"] },
        seccompProfile: { type: "RuntimeDefault" },
        allowPrivilegeEscalation: false,
      },
    });
    expect(plain.split("\n").toSorted()).toEqual(["CapEff:0000000000001000", "NoNewPrivs:1", "Seccomp:2"]);
    const privileged = await namespace().output(status, { securityContext: { privileged: true } });
    expect(privileged).toContain("Seccomp:0");
    const readOnly = { securityContext: { readOnlyRootFilesystem: true } };
    expect(await namespace().output("touch /x 2>&1 || true", readOnly)).toContain("Read-only file system");
    const sysctls = [{ name: "net.ipv4.ip_local_port_range", value: "20000 30000" }];
    const range = "cat /proc/sys/net/ipv4/ip_local_port_range";
    expect(await namespace().output(range, {}, { securityContext: { sysctls } })).toBe("20000\t30000");
  });

  it("the host's namespaces, and one of processes for a whole pod, where they are asked for", async () => {
    const host = await namespace().output(
      "for ns in pid net ipc; do readlink /proc/self/ns/$ns; done",
      { securityContext: { privileged: true } },
      { hostNetwork: true, hostPID: true, hostIPC: true },
    );
    expect(host.split("\n")).toEqual(
      ["pid", "net", "ipc"].map((kind) => readlinkSync(`/proc/self/ns/${kind}`)),
    );
    const { name } = await namespace().running({
      shareProcessNamespace: true,
      containers: [
        shell(sleeps, { name: "a" }),
        shell("trap 'exit 0' TERM; sleep 7654 & wait", { name: "b" }),
      ],
    });
    expect(await namespace().sh(name, "ps | grep -c '[s]leep 7654'", "a")).not.toBe("0");
  });
});

describe.concurrent("streams", () => {
  it("logs; exec with 20 MB of input, exit codes and a terminal", async () => {
    const { name } = await namespace().running({ containers: [shell(`echo one; echo two >&2; ${sleeps}`)] });
    expect((await namespace().logs(name)).trim().split("\n").toSorted()).toEqual(["one", "two"]);
    const stdin = Readable.from([Buffer.alloc(20_000_000, "x")]);
    const counted = await namespace().exec(name, ["sh", "-c", "head -c 20000000 | wc -c"], { stdin });
    expect(counted.stdout.toString().trim()).toBe("20000000");
    expect(await namespace().exec(name, ["sh", "-c", "exit 42"])).toMatchObject({ code: 42 });
    const tty = await namespace().exec(name, ["tty"], { tty: true, stdin: new PassThrough() });
    expect(tty.stdout.toString().trim()).toBe("/dev/pts/0");
  });
});

describe.concurrent("figures", () => {
  it("stats/summary, metrics/resource and metrics/cadvisor know the pod and its container", async () => {
    const kubelet = new KubeletApi(namespace().node);
    const { name } = await namespace().running({ containers: [shell(sleeps)] });
    interface Summary {
      readonly pods: readonly {
        readonly podRef: { readonly name: string };
        readonly containers?: readonly { readonly memory?: { readonly workingSetBytes?: number } }[];
      }[];
    }
    const summary = async () => {
      const { pods } = JSON.parse(await kubelet.get("/stats/summary")) as Summary;
      return pods.find(({ podRef }) => podRef.name === name)?.containers?.[0]?.memory?.workingSetBytes;
    };
    const wait = { timeoutMs: 60_000, intervalMs: 500 };
    await waitFor("the pod's memory", async () => ((await summary()) ?? 0) > 0, wait);
    for (const path of ["/metrics/resource", "/metrics/cadvisor"])
      await waitFor(path, async () => (await kubelet.get(path)).includes(`pod="${name}"`), wait);
  });
});
