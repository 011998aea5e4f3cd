/** linux.netDevices, in a network namespace of the test's own: nothing of the machine is moved. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { binary, Bundle } from "./bundle.ts";

/** A network namespace that stands for the host, with `ip` in it. */
class Host implements Disposable {
  readonly name = `kobako-dev-${randomBytes(4).toString("hex")}`;
  readonly command: readonly string[];

  constructor() {
    execFileSync("ip", ["netns", "add", this.name]);
    this.command = ["/usr/bin/nsenter", `--net=/run/netns/${this.name}`, binary];
  }

  ip(...args: string[]): string {
    return execFileSync("ip", ["-n", this.name, ...args], { encoding: "utf8" });
  }

  [Symbol.dispose](): void {
    execFileSync("ip", ["netns", "del", this.name]);
  }
}

const show = "ip -o addr show; ip -o link show";

describe("linux.netDevices", () => {
  it("a link is moved, renamed, up, and has its permanent global addresses", async () => {
    using host = new Host();
    host.ip("link", "add", "one", "type", "veth", "peer", "name", "two");
    host.ip("addr", "add", "192.0.2.7/24", "broadcast", "192.0.2.255", "dev", "one");
    host.ip("addr", "add", "2001:db8::7/64", "nodad", "dev", "one");
    host.ip("addr", "add", "169.254.3.3/16", "scope", "link", "dev", "one");
    await using b = new Bundle((s) => {
      Object.assign(s.linux, { netDevices: { one: { name: "eth7" }, two: { name: "lan%d" } } });
    }, host.command);
    const r = b.sh(show);
    expect(r.stderr).toBe("");
    expect(r.stdout).toMatch(/eth7 +inet 192\.0\.2\.7\/24 brd 192\.0\.2\.255/);
    expect(r.stdout).toMatch(/eth7 +inet6 2001:db8::7\/64 scope global/);
    expect(r.stdout).not.toContain("169.254.3.3");
    expect(r.stdout).toMatch(/ eth7@?\S*: <[^>]*\bUP\b/);
    expect(r.stdout).toMatch(/ lan0@?\S*: <[^>]*\bUP\b/);
    expect(host.ip("-o", "link")).not.toMatch(/one|two/);
  });

  it("a namespace by path and a user namespace take it too", async () => {
    using host = new Host();
    using inside = new Host();
    host.ip("link", "add", "one", "type", "veth", "peer", "name", "two");
    await using b = new Bundle((s) => {
      s.linux.namespaces = s.linux.namespaces.map(({ type }) =>
        type === "network" ? { type, path: `/run/netns/${inside.name}` } : { type },
      );
      Object.assign(s.linux, { netDevices: { one: {} } });
    }, host.command);
    expect(b.sh(show)).toMatchObject({ code: 0, stderr: "" });
    expect(inside.ip("-o", "link")).toMatch(/ one@?\S*: <[^>]*\bUP\b/);

    await using users = new Bundle((s) => {
      s.linux.namespaces.push({ type: "user" });
      const map = [{ containerID: 0, hostID: 100000, size: 65536 }];
      Object.assign(s.linux, { uidMappings: map, gidMappings: map, netDevices: { two: {} } });
    }, host.command);
    expect(users.sh(show).stdout).toMatch(/ two@?\S*: <[^>]*\bUP\b/);
  });

  it("a link that is missing, and a name that is taken, are errors that name it", async () => {
    using host = new Host();
    await using b = new Bundle((s) => {
      Object.assign(s.linux, { netDevices: { nobody: {} } });
    }, host.command);
    expect(b.run().stderr).toContain('linux.netDevices: device "nobody": no such device');
    host.ip("link", "add", "one", "type", "veth", "peer", "name", "two");
    Object.assign(b.spec.linux, { netDevices: { one: { name: "lo" } } });
    expect(b.run().stderr).toMatch(/linux\.netDevices: move "one" into the container as "lo": file exists/);
    expect(host.ip("-o", "link")).toContain(" one@");
  });
});
