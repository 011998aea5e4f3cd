import { describe, expect, it } from "vitest";
import { checkSysctls } from "./sysctl.ts";

const own = { network: "pod", ipc: "pod" } as const;

describe("sysctls of a pod (K3)", () => {
  it.each([
    ["net.ipv4.ip_forward", "1"],
    ["net.ipv4.ip_unprivileged_port_start", "0"],
    ["net.ipv4.ping_group_range", "0 2147483647"],
    ["net.ipv4.tcp_rmem", "4096\t87380\t6291456"],
    ["net/ipv4/conf/eth0.1/forwarding", "1"],
    ["net.ipv4.conf.eth0/1.forwarding", "1"],
    ["kernel.shm_rmid_forced", "1"],
    ["kernel.sem", "250 32000 32 128"],
    ["fs.mqueue.msg_max", "100"],
  ])("takes %s = %j", (name, value) => {
    expect(() => checkSysctls({ [name]: value }, own)).not.toThrow();
  });

  it.each([
    [
      "a value that carries another setting, in a name",
      "kernel.shm_rmid_forced=1+kernel.core_pattern",
      "|/x",
    ],
    ["a way out of net", "net/../kernel/core_pattern", "|/x"],
    ["a way out of net, dotted", "net.../kernel.core_pattern", "x"],
    ["an empty part", "net..ipv4", "1"],
    ["an absolute path", "/kernel/core_pattern", "x"],
    ["a newline in the value", "kernel.sem", "1\n2"],
    ["a NUL in the value", "kernel.sem", "1\0"],
    ["a setting of the whole host", "kernel.core_pattern", "core"],
    ["a setting of the whole host", "vm.overcommit_memory", "1"],
    ["a setting of the whole host", "fs.file-max", "1"],
    ["a longer name than an allowed one", "kernel.shmmax.x", "1"],
    ["a prefix of an allowed one", "kernel.shm", "1"],
    ["a name without a part", "net", "1"],
    ["a space", "net.ipv4 .x", "1"],
    ["a huge value", "kernel.sem", "1".repeat(5000)],
  ])("refuses %s: %j", (_, name, value) => {
    expect(() => checkSysctls({ [name]: value }, own)).toThrow(
      expect.objectContaining({ kind: "invalid-argument" }),
    );
  });

  it("refuses a setting of a namespace that is the host's", () => {
    expect(() => checkSysctls({ "net.ipv4.ip_forward": "1" }, { ...own, network: "node" })).toThrow(
      /host's network/,
    );
    expect(() => checkSysctls({ "kernel.sem": "1" }, { ...own, ipc: "node" })).toThrow(/host's IPC/);
  });
});
