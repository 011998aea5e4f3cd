import { describe, expect, it } from "vitest";
import {
  ContainerConfig,
  MountPropagation,
  NamespaceMode,
  PodSandboxConfig,
  ProfileType,
  Protocol,
} from "../../cri-api/index.ts";
import { podText } from "./commands/run.ts";
import { planPod } from "./pod-file.ts";

const place = {
  uid: "u-1",
  folder: "/root/pods/u-1",
  annotations: { "kobako.run/folder": "/root/pods/u-1" },
};
const plan = (text: string) => planPod(text, place);

const pod = (spec: string, metadata = "name: web") => `
apiVersion: v1
kind: Pod
metadata: { ${metadata} }
spec:
${spec}`;
const one = (fields: string) => pod(`  containers:\n  - { name: c, image: img, ${fields} }`);

describe("a pod's file", () => {
  it("becomes a sandbox and its containers", () => {
    const { sandbox, containers, runtimeHandler, emptyDirs } = plan(`
apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
  labels: { app: web }
  creationTimestamp: null
spec:
  hostname: front
  runtimeClassName: kata
  shareProcessNamespace: true
  restartPolicy: Never
  volumes:
  - { name: data, emptyDir: {} }
  - { name: etc, hostPath: { path: /etc/web } }
  securityContext:
    runAsUser: 1000
    supplementalGroups: [5, 6]
    sysctls: [{ name: net.ipv4.ip_unprivileged_port_start, value: "0" }]
  containers:
  - name: httpd
    image: registry.example/httpd:1
    imagePullPolicy: Always
    command: [/bin/httpd]
    args: ["-f", "80"]
    workingDir: /www
    env: [{ name: A, value: "1" }, { name: B }]
    ports: [{ containerPort: 80, hostPort: 8080, protocol: UDP, hostIP: 127.0.0.1 }]
    volumeMounts:
    - { name: data, mountPath: /data }
    - { name: etc, mountPath: /etc/web, readOnly: true, mountPropagation: HostToContainer }
    resources: { limits: { cpu: 500m, memory: 64Mi }, requests: { cpu: 250m } }
    securityContext: { runAsUser: 0, allowPrivilegeEscalation: false, capabilities: { add: [NET_ADMIN], drop: [ALL] } }
  - { name: side, image: busybox }
status: {}
`);
    // Through the codecs: what is not asked for gets its default, and everything fits its field.
    const config = PodSandboxConfig.decode(PodSandboxConfig.encode(sandbox));
    expect(config).toMatchObject({
      metadata: { name: "web", namespace: "shop", uid: "u-1", attempt: 0 },
      hostname: "front",
      logDirectory: "/root/pods/u-1/logs",
      labels: { app: "web", "io.kubernetes.pod.name": "web" },
      annotations: place.annotations,
      portMappings: [{ protocol: Protocol.UDP, containerPort: 80, hostPort: 8080, hostIp: "127.0.0.1" }],
      linux: {
        sysctls: { "net.ipv4.ip_unprivileged_port_start": "0" },
        securityContext: {
          namespaceOptions: { network: NamespaceMode.POD, pid: NamespaceMode.POD },
          privileged: false,
        },
      },
    });
    expect([runtimeHandler, emptyDirs, containers.length]).toEqual(["kata", ["data"], 2]);
    const first = ContainerConfig.decode(ContainerConfig.encode(containers[0]?.config ?? {}));
    expect(containers[0]?.pullPolicy).toBe("Always");
    expect(first).toMatchObject({
      metadata: { name: "httpd" },
      command: ["/bin/httpd"],
      args: ["-f", "80"],
      workingDir: "/www",
      logPath: "httpd_0.log",
      mounts: [
        { containerPath: "/data", hostPath: "/root/pods/u-1/volumes/data", readonly: false },
        {
          containerPath: "/etc/web",
          hostPath: "/etc/web",
          readonly: true,
          propagation: MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
        },
      ],
      linux: {
        securityContext: {
          noNewPrivs: true,
          runAsUser: { value: 0n },
          capabilities: { addCapabilities: ["NET_ADMIN"], dropCapabilities: ["ALL"] },
          seccomp: { profileType: ProfileType.RuntimeDefault },
        },
      },
    });
    expect(first.envs.map(({ key, value }) => [key, Buffer.from(value).toString()])).toEqual([
      ["A", "1"],
      ["B", ""],
    ]);
    expect(first.linux?.resources).toMatchObject({
      cpuQuota: 50_000n,
      cpuPeriod: 100_000n,
      cpuShares: 256n,
      memoryLimitInBytes: 64n << 20n,
    });
    expect(first.linux?.securityContext?.supplementalGroups).toEqual([5n, 6n]);
    expect(first.linux?.securityContext?.maskedPaths).toContain("/proc/kcore");
    const second = ContainerConfig.decode(ContainerConfig.encode(containers[1]?.config ?? {}));
    expect(second.linux?.securityContext?.runAsUser).toEqual({ value: 1000n });
    expect(second.linux?.resources).toMatchObject({ cpuQuota: 0n, cpuShares: 2n, memoryLimitInBytes: 0n });
  });

  it("privileged containers make a privileged sandbox and are not confined", () => {
    const { sandbox, containers } = plan(one("securityContext: { privileged: true }"));
    expect(sandbox.linux?.securityContext?.privileged).toBe(true);
    expect(containers[0]?.config.linux?.securityContext).toMatchObject({
      privileged: true,
      seccomp: { profileType: ProfileType.Unconfined },
    });
    expect(containers[0]?.config.linux?.securityContext?.maskedPaths).toBe(undefined);
  });

  it.each([
    [
      "what only a kubelet does",
      one("livenessProbe: { exec: { command: [x] } }"),
      /not supported by kobako run: spec.containers\[0\].livenessProbe$/,
    ],
    [
      "several such fields at once",
      pod("  nodeName: n\n  containers:\n  - { name: c, image: i, lifecycle: { x: 1 } }"),
      /spec.nodeName, spec.containers\[0\].lifecycle/,
    ],
    [
      "a secret as environment",
      one("env: [{ name: A, valueFrom: { secretKeyRef: { name: s, key: k } } }]"),
      /spec.containers\[0\].env\[0\].valueFrom/,
    ],
    [
      "an emptyDir in memory",
      pod("  volumes: [{ name: v, emptyDir: { medium: Memory } }]\n  containers: [{ name: c, image: i }]"),
      /spec.volumes\[0\].emptyDir.medium/,
    ],
    [
      "a config map as volume",
      pod("  volumes: [{ name: v, configMap: { name: m } }]\n  containers: [{ name: c, image: i }]"),
      /spec.volumes\[0\].configMap/,
    ],
    [
      "init containers",
      pod("  initContainers: [{ name: i, image: i }]\n  containers: [{ name: c, image: i }]"),
      /spec.initContainers/,
    ],
    [
      "restarts",
      pod("  restartPolicy: Always\n  containers: [{ name: c, image: i }]"),
      /restartPolicy Always: .* write Never/,
    ],
    [
      "a mount of no volume",
      one("volumeMounts: [{ name: v, mountPath: /v }]"),
      /c: volumeMounts names v, which is not among spec.volumes/,
    ],
    [
      "an odd quantity",
      one("resources: { limits: { memory: lots } }"),
      /c: resources.limits.memory: lots is not a quantity/,
    ],
    [
      "a volume name that climbs",
      pod("  volumes: [{ name: ../x, emptyDir: {} }]\n  containers: [{ name: c, image: i }]"),
      /not a DNS label/,
    ],
    ["no containers", pod("  containers: []"), /spec.containers is empty/],
    ["no name", one("").replace("name: web", ""), /metadata.name is missing/],
    [
      "another kind",
      "apiVersion: apps/v1\nkind: Deployment",
      /it is apps\/v1 Deployment, a v1 Pod is wanted/,
    ],
    ["two documents", `${one("")}\n---\n${one("")}`, /2 documents/],
    ["no YAML", "a: [", /pod file: /],
    ["nothing", "", /0 documents/],
    [
      "a bomb of aliases",
      `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c]`,
      /./,
    ],
  ])("refuses %s by name", (_, text, message) => {
    expect(() => plan(text)).toThrow(message);
  });
});

describe("kobako run IMAGE", () => {
  const flags = { namespace: "default", env: [], publish: [], volume: [], runtime: "" };

  it("is the same as a file that says so", () => {
    const text = podText("registry.example:5000/a/My_App:1.2@sha256:0", ["-v"], {
      ...flags,
      env: ["A=b=c"],
      publish: ["8080:80", "[::1]:53:53/udp"],
      volume: ["/srv:/data:ro"],
    });
    const { sandbox, containers } = plan(text);
    expect(sandbox.metadata.name).toMatch(/^my-app-[0-9a-f]{6}$/);
    expect(sandbox.portMappings).toEqual([
      { protocol: Protocol.TCP, containerPort: 80, hostPort: 8080, hostIp: "" },
      { protocol: Protocol.UDP, containerPort: 53, hostPort: 53, hostIp: "::1" },
    ]);
    expect(containers[0]?.config).toMatchObject({
      args: ["-v"],
      envs: [{ key: "A", value: Buffer.from("b=c") }],
      mounts: [{ hostPath: "/srv", containerPath: "/data", readonly: true }],
    });
  });

  it.each([
    [{ env: ["A"] }, /--env A must be NAME=VALUE/],
    [{ publish: ["80"] }, /--publish 80 must be/],
    [{ publish: ["0:80"] }, /--publish/],
    [{ publish: ["99999:80"] }, /--publish/],
    [{ volume: ["data:/x"] }, /--volume data:\/x must be/],
  ])("refuses a flag without sense", (more, message) => {
    expect(() => podText("i", [], { ...flags, ...more })).toThrow(message);
  });
});
