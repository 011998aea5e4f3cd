import { describe, expect, it } from "vitest";
import {
  ContainerConfig,
  type ContainerConfigInit,
  PodSandboxConfig,
  type PodSandboxConfigInit,
} from "../../../cri-api/index.ts";
import { containerConfig, wireSignal } from "./container-config.ts";
import { idField } from "./fields.ts";
import { podConfig } from "./pod-config.ts";

/** As it comes over the wire: encoded and decoded. */
const pod = (init: PodSandboxConfigInit) =>
  podConfig(
    PodSandboxConfig.decode(
      PodSandboxConfig.encode({ metadata: { name: "a", namespace: "b", uid: "c" }, ...init }),
    ),
  );
const container = (init: ContainerConfigInit) =>
  containerConfig(ContainerConfig.decode(ContainerConfig.encode({ metadata: { name: "a" }, ...init })));
const invalid = expect.objectContaining({ kind: "invalid-argument" });

it("a pod without options shares what the CRI's zeros mean: network, PID and IPC of the pod", () => {
  expect(pod({}).namespaces).toEqual({
    network: "pod",
    pid: "pod",
    ipc: "pod",
    targetId: "",
    user: undefined,
  });
});

it("a pod keeps labels named like things of JavaScript", () => {
  const { labels } = pod({
    labels: JSON.parse('{"__proto__": "1", "constructor": "2", "hasOwnProperty": "3"}'),
  });
  expect(Object.entries(labels)).toEqual([
    ["__proto__", "1"],
    ["constructor", "2"],
    ["hasOwnProperty", "3"],
  ]);
});

it("an empty DNS configuration means the node's", () => expect(pod({ dnsConfig: {} }).dns).toBeUndefined());

describe("what is missing or unknown is named", () => {
  it.each<[string, () => unknown, RegExp]>([
    ["no config", () => podConfig(undefined), /^config is missing/],
    [
      "no metadata",
      () => podConfig(PodSandboxConfig.decode(new Uint8Array())),
      /^config.metadata is missing/,
    ],
    [
      "an unknown namespace mode",
      () => pod({ linux: { securityContext: { namespaceOptions: { network: 9 } } } }),
      /network 9 is unknown/,
    ],
    ["an unknown protocol", () => pod({ portMappings: [{ protocol: -1 }] }), /protocol -1 is unknown/],
    [
      "an unknown propagation",
      () => container({ mounts: [{ containerPath: "/a", hostPath: "/b", propagation: 7 }] }),
      /propagation 7 is unknown/,
    ],
    ["an unknown stop signal", () => container({ stopSignal: 9999 }), /stop_signal 9999 is unknown/],
    [
      "a NUL in a path",
      () => container({ mounts: [{ containerPath: "/a\0b", hostPath: "/" }] }),
      /container_path holds a NUL/,
    ],
    ["a NUL in an argument", () => container({ args: ["a\0"] }), /args holds a NUL/],
  ])("%s", (_name, read, message) => {
    expect(read).toThrow(invalid);
    expect(read).toThrow(message);
  });
});

it("what is not offered yet is refused, not left out", () => {
  for (const init of [
    { mounts: [{ containerPath: "/a", image: { image: "x" } }] },
    { mounts: [{ containerPath: "/a", hostPath: "/b", mountOptions: ["noexec"] }] },
    { cdiDevices: [{ name: "vendor.com/gpu=0" }] },
  ]) {
    expect(() => container(init)).toThrow(expect.objectContaining({ kind: "unimplemented" }));
  }
});

it("the newer seccomp field wins over the path that it replaced", () => {
  const seccomp = (securityContext: object) => container({ linux: { securityContext } }).security.seccomp;
  expect(seccomp({})).toBeUndefined();
  expect(seccomp({ seccompProfilePath: "localhost//etc/p.json" })).toEqual({
    type: "localhost",
    path: "/etc/p.json",
  });
  expect(seccomp({ seccompProfilePath: "unconfined", seccomp: { profileType: 0 } })).toEqual({
    type: "runtime-default",
  });
  expect(() => seccomp({ seccompProfilePath: "unconfined_x" })).toThrow(invalid);
});

it.each(["SIGTERM", "SIGKILL", "SIGRTMIN+3", "SIGRTMAX-1"])(
  "signal %s is the same after both ways",
  (name) => {
    expect(container({ stopSignal: wireSignal(name) }).stopSignal).toBe(name);
  },
);

it.each(["ab12", "a".repeat(64), "17085813-a59f-42e1-b08a-63cfa2880bfb"])("id %j may be looked up", (id) => {
  expect(idField("container_id", id)).toBe(id);
});

it.each(["", "../x", "-rf", "%s", "a".repeat(129), "abc\0", ".", "a.b", "a/b"])(
  "id %j is refused before use",
  (id) => {
    expect(() => idField("container_id", id)).toThrow(invalid);
  },
);
