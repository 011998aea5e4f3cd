/** A node can be switched between the reference plugins and ours: either goes on with the other's state. */
import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { tempDir } from "../../support/temp-dir.ts";
import { Netns, ran } from "./netns.ts";
import { pluginDir } from "./plugin-calls.ts";

const minuteMs = 60_000;

it(
  "pods of one are neighbours and leftovers of the other, with equal files",
  async () => {
    const tools = join(import.meta.dirname, "../../../hack/tools");
    const { stdout } = await promisify(execFile)(tools, ["cni-bridge", "cni-host-local"]);
    const [bridge = "", hostLocal = ""] = stdout.trim().split("\n").slice(-2);
    await using folder = await tempDir("reference");
    const theirs = join(folder.path, "bin");
    await mkdir(theirs);
    await symlink(bridge, join(theirs, "bridge"));
    await symlink(hostLocal, join(theirs, "host-local"));

    await using node = await Netns.make("node");
    await using one = await Netns.make("pod");
    await using two = await Netns.make("pod");
    const conf = JSON.stringify({
      cniVersion: "1.0.0",
      name: "switched",
      type: "bridge",
      bridge: "kbtref",
      isDefaultGateway: true,
      ipam: {
        type: "host-local",
        dataDir: folder.path,
        ranges: [[{ subnet: "10.208.0.0/24" }], [{ subnet: "fd00:208::/64" }]],
      },
    });
    const call = async (dir: string, command: string, id: string, netns: Netns) => {
      const env = {
        CNI_COMMAND: command,
        CNI_CONTAINERID: id,
        CNI_NETNS: netns.path,
        CNI_IFNAME: "eth0",
        CNI_PATH: dir,
      };
      const { code, out } = await ran(...node.inside(join(dir, "bridge")), conf, env);
      expect([command, id, code, code === 0 ? "" : out]).toEqual([command, id, 0, ""]);
    };
    const lease = (address: string) => readFile(join(folder.path, "switched", address), "utf8");

    await call(theirs, "ADD", "one", one);
    await call(pluginDir, "ADD", "two", two);
    expect([await lease("10.208.0.2"), await lease("fd00:208::2")]).toEqual(["one\r\neth0", "one\r\neth0"]);
    expect([await lease("10.208.0.3"), await lease("fd00:208::3")]).toEqual(["two\r\neth0", "two\r\neth0"]);
    await two.serve(80, "two");
    expect(await one.ask("tcp", "10.208.0.3", 80)).toBe("two 10.208.0.2");
    await call(pluginDir, "DEL", "one", one);
    await call(theirs, "DEL", "two", two);
    expect((await readdir(join(folder.path, "switched"))).sort()).toEqual([
      "last_reserved_ip.0",
      "last_reserved_ip.1",
      "lock",
    ]);
    for (const netns of [one, two]) expect(await netns.ip("-o", "link")).not.toContain("eth0");
  },
  10 * minuteMs,
);
