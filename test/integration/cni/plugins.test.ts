/** Our CNI plugins by themselves, on a node that is a network namespace of its own. */
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { program } from "../../support/programs.ts";
import { type TempDir, tempDir } from "../../support/temp-dir.ts";
import { waitFor } from "../../support/wait.ts";
import { cable, Netns } from "./netns.ts";
import { type Conf, ipsOf, pluginDir, Plugins, type Result } from "./plugin-calls.ts";

const soak = process.env.KOBAKO_SOAK === "1";
let node: Netns;
let plugins: Plugins;
let folder: TempDir;

beforeAll(async () => {
  node = await Netns.make("node");
  plugins = new Plugins(node);
  folder = await tempDir("cni");
});
afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

let networks = 0;
/** A network of its own: bridge, subnets, address folder. */
function network(more: Conf = {}, ranges?: Conf[][]): Conf & { name: string; bridge: string } {
  const n = ++networks;
  return {
    cniVersion: "1.1.0",
    name: `net${n}`,
    type: "bridge",
    bridge: `kbt${n}`,
    isDefaultGateway: true,
    ipMasq: true,
    ipam: {
      type: "host-local",
      dataDir: join(folder.path, "addresses"),
      ranges: ranges ?? [[{ subnet: `10.201.${n}.0/24` }], [{ subnet: `fd00:201:${n}::/64` }]],
    },
    ...more,
  };
}

const addresses = async (name: string) =>
  (await readdir(join(folder.path, "addresses", name)).catch(() => [])).filter((file) =>
    /^[0-9a-f]+[.:]/.test(file),
  );

interface Pod extends AsyncDisposable {
  readonly id: string;
  readonly netns: Netns;
  readonly result: Result;
  readonly v4: string;
  readonly v6: string;
}

let pods = 0;
async function pod(conf: Conf, portMappings: Conf[] = [], more: Conf = {}): Promise<Pod> {
  const id = `pod${++pods}`;
  const netns = await Netns.make("pod");
  const result = await plugins.ok("bridge", "ADD", id, netns.path, conf);
  const ports = { ...conf, ...more, type: "portmap", prevResult: result, runtimeConfig: { portMappings } };
  if (portMappings.length > 0) await plugins.ok("portmap", "ADD", id, netns.path, ports);
  const [v4 = "", v6 = ""] = ipsOf(result);
  return {
    id,
    netns,
    result,
    v4,
    v6,
    [Symbol.asyncDispose]: async () => {
      if (portMappings.length > 0) await plugins.ok("portmap", "DEL", id, netns.path, ports);
      await plugins.ok("bridge", "DEL", id, netns.path, conf);
      await netns[Symbol.asyncDispose]();
    },
  };
}

// Protocols by number: their names come from /etc/protocols, which a small machine does not have.
const rules = async () => (await node.run("nft", "-p", "list", "ruleset")).out;

describe("bridge and host-local", () => {
  it("give a pod an address of each family, a way to the node, to other pods and to itself", async () => {
    const conf = network();
    await using a = await pod(conf);
    await using b = await pod(conf);
    expect(a.result.interfaces.map(({ name }) => name)).toEqual([
      conf.bridge,
      expect.stringMatching(/^veth/),
      "eth0",
    ]);
    expect(a.result.interfaces[2]).toMatchObject({ sandbox: a.netns.path });
    await b.netns.serve(80, "b");
    await node.serve(81, "node");
    expect(await a.netns.ask("tcp", b.v4, 80)).toBe(`b ${a.v4}`);
    expect(await a.netns.ask("tcp", b.v6, 80)).toBe(`b ${a.v6}`);
    expect(await b.netns.ask("tcp", b.v4, 80)).toBe(`b ${b.v4}`);
    for (const { gateway = "" } of a.result.ips)
      expect(await a.netns.ask("udp", gateway, 81)).toMatch(/^node /);
    expect(await node.ask("tcp", b.v4, 80)).toMatch(/^b /);
    expect(await node.ask("tcp", b.v6, 80)).toMatch(/^b /);
  });

  it("masquerade what leaves the node, and only that", async () => {
    await using outside = await Netns.make("out");
    await cable(node, "kbtout0", ["10.202.0.1/24", "fd00:202::1/64"], outside, "eth0", [
      "10.202.0.2/24",
      "fd00:202::2/64",
    ]);
    await outside.serve(80, "outside");
    await using a = await pod(network());
    expect(await a.netns.ask("tcp", "10.202.0.2", 80)).toBe("outside 10.202.0.1");
    expect(await a.netns.ask("tcp", "fd00:202::2", 80)).toBe("outside fd00:202::1");
  });

  it("DEL may be called again, without the namespace, and for a pod that never was", async () => {
    const conf = network();
    const a = await pod(conf);
    expect(await addresses(conf.name)).toHaveLength(2);
    await a.netns[Symbol.asyncDispose]();
    for (const netns of [a.netns.path, "", "/nonexistent/netns", a.netns.path]) {
      await plugins.ok("bridge", "DEL", a.id, netns, conf);
      expect(await addresses(conf.name)).toEqual([]);
    }
    await plugins.ok("bridge", "DEL", "never", "", conf);
  });

  it("a second ADD of a pod fails and leaves the first one alone", async () => {
    const conf = network();
    await using a = await pod(conf);
    const again = await plugins.call("bridge", "ADD", a.id, a.netns.path, conf);
    expect(again.code).toBe(1);
    expect(JSON.parse(again.out)).toMatchObject({ code: 100, msg: expect.stringContaining("is given to") });
    await plugins.ok("bridge", "CHECK", a.id, a.netns.path, { ...conf, prevResult: a.result });
  });

  it("a failed ADD leaves neither link nor address", async () => {
    const conf = network({ ipMasq: false });
    await using netns = await Netns.make("pod");
    await netns.ip("link", "add", "eth0", "type", "veth", "peer", "name", "other");
    const failed = await plugins.call("bridge", "ADD", "taken", netns.path, conf);
    expect(JSON.parse(failed.out)).toMatchObject({ msg: expect.stringContaining("eth0 in /run/netns/") });
    expect(await addresses(conf.name)).toEqual([]);
    expect(await node.ip("-o", "link", "show", "master", conf.bridge)).toBe("");
  });

  it("never works in the node's own namespace, and a path that is no namespace is refused", async () => {
    const conf = network();
    const own = await plugins.call("bridge", "ADD", "own", node.path, conf);
    expect(JSON.parse(own.out).msg).toContain("is the host's network namespace");
    const file = join(folder.path, "unmounted");
    await writeFile(file, "");
    expect(JSON.parse((await plugins.call("bridge", "ADD", "file", file, conf)).out).msg).toContain(
      "no network namespace",
    );
    await plugins.ok("bridge", "DEL", "file", file, conf);
  });

  it("a name of a host link that is taken is not used (F10)", async () => {
    const conf = network();
    const first = await pod(conf);
    const taken = first.result.interfaces[1]?.name ?? "";
    await plugins.ok("bridge", "DEL", first.id, first.netns.path, conf);
    await node.ip("link", "add", taken, "type", "bridge");
    const second = await plugins.ok("bridge", "ADD", first.id, first.netns.path, conf);
    expect(second.interfaces[1]?.name).not.toBe(taken);
    await plugins.ok("bridge", "DEL", first.id, first.netns.path, conf);
    await first.netns[Symbol.asyncDispose]();
    expect(await node.ip("-o", "link", "show", taken)).toContain(taken);
  });

  it("with linkEndsWithNetns, DEL cuts the pod off at once and the same pod can come again", async () => {
    const conf = network({ linkEndsWithNetns: true });
    await using a = await pod(conf);
    await a.netns.serve(80, "a");
    expect(await node.ask("tcp", a.v4, 80)).toMatch(/^a /);
    await plugins.ok("bridge", "DEL", a.id, a.netns.path, conf);
    expect(await node.ask("tcp", a.v4, 80)).toBe("closed");
    expect(await addresses(conf.name)).toEqual([]);
    const again = await plugins.ok("bridge", "ADD", a.id, a.netns.path, conf);
    expect(await node.ask("tcp", ipsOf(again)[0] ?? "", 80)).toMatch(/^a /);
  });

  it("20 pods at once get 20 addresses on one bridge", async () => {
    const conf = network();
    const all = await Promise.all(Array.from({ length: 20 }, () => pod(conf)));
    expect(new Set(all.flatMap(({ result }) => ipsOf(result))).size).toBe(40);
    expect((await node.ip("-o", "link", "show", "master", conf.bridge)).trim().split("\n")).toHaveLength(20);
    await Promise.all(all.map((one) => one[Symbol.asyncDispose]()));
    expect(await addresses(conf.name)).toEqual([]);
  });

  it("a range of 6 addresses survives plugins that are killed at random (F6)", async () => {
    const conf = network({}, [[{ subnet: "10.203.0.0/29" }]]); // 5 pods beside the gateway
    await using netns = await Netns.make("pod");
    const rounds = soak ? 1000 : 200;
    let killed = 0;
    for (let i = 0; i < rounds; i++) {
      const [file, args] = node.inside(join(pluginDir, "bridge"));
      const child = spawn(file, args, {
        stdio: ["pipe", "ignore", "ignore"],
        env: plugins.env("ADD", `f6-${i}`, netns.path),
      });
      child.stdin.on("error", () => {});
      child.stdin.end(JSON.stringify(conf));
      const timer = setTimeout(() => child.kill("SIGKILL"), (i * 7) % 6);
      const [, signal] = (await once(child, "exit")) as [number, string | null];
      clearTimeout(timer);
      if (signal !== null) killed++;
      await plugins.ok("bridge", "DEL", `f6-${i}`, netns.path, conf);
    }
    expect(killed).toBeGreaterThan(0);
    // All five can be had at the end.
    const last = await Promise.all(Array.from({ length: 5 }, () => pod(conf)));
    const full = await plugins.call("bridge", "ADD", "sixth", netns.path, conf);
    expect(JSON.parse(full.out)).toMatchObject({
      code: 11,
      msg: expect.stringContaining("no free address in 10.203.0.0/29"),
    });
    await Promise.all(last.map((one) => one[Symbol.asyncDispose]()));
    expect((await node.ip("-o", "link", "show", "master", conf.bridge)).trim()).toBe("");
  });

  it("an address file that a power cut emptied is free again, and GC removes it", async () => {
    const conf = network();
    await using a = await pod(conf);
    const next = a.v4.replace(/\.2$/, ".3");
    const file = join(folder.path, "addresses", conf.name, next);
    await writeFile(file, "");
    {
      await using b = await pod(conf);
      expect(b.v4).toBe(next);
      expect(await readFile(file, "utf8")).toBe(`${b.id}\r\neth0`);
    }
    await writeFile(file, "\0\0\0\0");
    await plugins.ok("bridge", "GC", "", "", {
      ...conf,
      "cni.dev/valid-attachments": [{ containerID: a.id, ifname: "eth0" }],
    });
    expect((await addresses(conf.name)).sort()).toEqual([a.v4, a.v6].sort());
    await plugins.ok("bridge", "GC", "", "", { ...conf, "cni.dev/valid-attachments": [] });
    expect(await addresses(conf.name)).toEqual([]);
  });

  it("another IPAM plugin is called with the whole configuration, and its words reach the caller", async () => {
    const bin = join(folder.path, "bin");
    await mkdir(bin, { recursive: true });
    await writeFile(
      join(bin, "elsewhere"),
      `#!/bin/sh
cat > ${bin}/stdin-$CNI_COMMAND
[ -e ${bin}/fail ] && { echo '{"code":11,"msg":"the pool is dry"}'; exit 1; }
[ $CNI_COMMAND = ADD ] && echo '{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.204.0.7/24"}]}'
exit 0
`,
    );
    await chmod(join(bin, "elsewhere"), 0o755);
    const other = new Plugins(node, `${bin}:${pluginDir}`);
    const conf = network({ ipam: { type: "elsewhere", key: "value" } });
    await using netns = await Netns.make("pod");
    const result = await other.ok("bridge", "ADD", "x", netns.path, conf);
    expect(result.ips).toEqual([{ address: "10.204.0.7/24", gateway: "10.204.0.1", interface: 2 }]);
    expect(JSON.parse(await readFile(join(bin, "stdin-ADD"), "utf8"))).toEqual(conf);
    await other.ok("bridge", "DEL", "x", netns.path, conf);
    await writeFile(join(bin, "fail"), "");
    const failed = await other.call("bridge", "ADD", "x", netns.path, conf);
    expect(JSON.parse(failed.out)).toMatchObject({
      code: 11,
      msg: expect.stringContaining("elsewhere: the pool is dry"),
    });
  });

  it.each([
    ["a key of the reference plugin that is not supported", { vlan: 7 }, 2, '"vlan"'],
    ["both port modes", { hairpinMode: true, promiscMode: true }, 7, "only one of them"],
    ["a bridge name that climbs", { bridge: "../x" }, 7, "bridge"],
    ["iptables", { ipMasqBackend: "iptables" }, 2, "ipMasqBackend"],
    ["an IPAM plugin with a path", { ipam: { type: "../../bin/sh" } }, 7, "ipam.type"],
    ["a missing IPAM plugin", { ipam: { type: "nowhere" } }, 100, "nowhere"],
  ])("refuses %s by name", async (_, more, code, words) => {
    await using netns = await Netns.make("pod");
    const { code: exit, out } = await plugins.call("bridge", "ADD", "bad", netns.path, network(more as Conf));
    expect(exit).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ code, msg: expect.stringContaining(words) });
  });

  it("answers VERSION without a configuration", async () => {
    const { out } = await plugins.call("portmap", "VERSION", "", "", "");
    expect(JSON.parse(out)).toEqual({
      cniVersion: "1.1.0",
      supportedVersions: ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"],
    });
  });
});

describe("portmap", () => {
  const mapping = (hostPort: number, more: Conf = {}) => ({
    hostPort,
    containerPort: 80,
    protocol: "tcp",
    ...more,
  });

  async function neighbour(n: number): Promise<Netns> {
    const outside = await Netns.make("out");
    await cable(node, `kbtout${n}`, [`10.205.${n}.1/24`, `fd00:205:${n}::1/64`], outside, "eth0", [
      `10.205.${n}.2/24`,
      `fd00:205:${n}::2/64`,
    ]);
    return outside;
  }

  it("leads a host port to the pod: from outside, the node, its loopback, another pod and the pod itself", async () => {
    await using outside = await neighbour(1);
    // Hairpin: where bridged packets are filtered (br_netfilter), a pod's way to itself never leaves the bridge.
    const conf = network({ hairpinMode: true });
    await using web = await pod(conf, [mapping(8080), mapping(8080, { protocol: "udp" })]);
    await using other = await pod(conf);
    await web.netns.serve(80, "web");
    for (const protocol of ["tcp", "udp"] as const) {
      for (const address of ["10.205.1.1", "fd00:205:1::1"]) {
        const source = address.replace(/1$/, "2");
        expect(await outside.ask(protocol, address, 8080)).toBe(`web ${source}`);
        expect(await node.ask(protocol, address, 8080)).toMatch(/^web /);
        expect(await other.netns.ask(protocol, address, 8080)).toMatch(/^web /);
        expect([protocol, address, await web.netns.ask(protocol, address, 8080)]).toEqual([
          protocol,
          address,
          expect.stringMatching(/^web /),
        ]);
      }
      expect(await node.ask(protocol, "127.0.0.1", 8080)).toMatch(/^web /);
    }
    await plugins.ok("portmap", "CHECK", web.id, web.netns.path, {
      ...conf,
      prevResult: web.result,
      runtimeConfig: { portMappings: [mapping(8080)] },
    });
  });

  it("closes with the pod, also for a UDP peer that keeps sending", async () => {
    await using outside = await neighbour(2);
    const conf = network();
    {
      await using web = await pod(conf, [mapping(8081), mapping(8081, { protocol: "udp" })]);
      await web.netns.serve(80, "first");
      expect(await outside.ask("tcp", "10.205.2.1", 8081)).toMatch(/^first /);
      expect(await outside.ask("udp", "10.205.2.1", 8081)).toMatch(/^first /);
    }
    expect(await rules()).not.toContain("8081");
    expect(await outside.ask("tcp", "10.205.2.1", 8081)).toBe("closed");
    await using next = await pod(conf, [mapping(8081), mapping(8081, { protocol: "udp" })]);
    await next.netns.serve(80, "second");
    expect(await outside.ask("udp", "10.205.2.1", 8081)).toMatch(/^second /);
  });

  it("does not touch traffic to other addresses (N1)", async () => {
    await using outside = await neighbour(3);
    await outside.serve(53, "the real one");
    const conf = network();
    await using dns = await pod(conf, [mapping(53), mapping(53, { protocol: "udp" })]);
    await using other = await pod(conf);
    await dns.netns.serve(80, "host port");
    await other.netns.serve(53, "the other pod");
    for (const protocol of ["tcp", "udp"] as const) {
      expect(await other.netns.ask(protocol, "10.205.3.2", 53)).toMatch(/^the real one/);
      expect(await dns.netns.ask(protocol, other.v4, 53)).toMatch(/^the other pod/);
      expect(await node.ask(protocol, other.v4, 53)).toMatch(/^the other pod/);
      expect(await node.ask(protocol, "10.205.3.2", 53)).toMatch(/^the real one/);
      expect(await other.netns.ask(protocol, "10.205.3.1", 53)).toMatch(/^host port/);
    }
  });

  it("a port on 127.0.0.1 is the node's alone (N2)", async () => {
    await using outside = await neighbour(4);
    const conf = network();
    await using web = await pod(conf, [mapping(8082, { hostIP: "127.0.0.1" })], { isolateLoopback: true });
    await using other = await pod(conf);
    await web.netns.serve(80, "web");
    await node.serve(8083, "a service on loopback");
    expect(await node.ask("tcp", "127.0.0.1", 8082)).toMatch(/^web /);
    expect(await outside.ask("tcp", "10.205.4.1", 8082)).toBe("closed");
    expect(await other.netns.ask("tcp", "10.205.4.1", 8082)).toBe("closed");
    // A neighbour that sends packets for 127.0.0.1 and for the pod to the node's MAC address.
    for (const [from, via, link] of [
      [outside, "10.205.4.1", "eth0"],
      [other.netns, web.result.ips[0]?.gateway ?? "", "eth0"],
    ] as const) {
      await from.run("sh", "-c", `echo 1 > /proc/sys/net/ipv4/conf/${link}/route_localnet`);
      await from.ip("route", "del", "local", "127.0.0.0/8", "dev", "lo", "table", "local").catch(() => {});
      await from.ip("route", "del", "local", "127.0.0.1", "dev", "lo", "table", "local").catch(() => {});
      await from.ip("route", "add", "127.0.0.1", "via", via, "dev", link);
      expect(await from.ask("tcp", "127.0.0.1", 8082)).toBe("closed");
      expect(await from.ask("tcp", "127.0.0.1", 8083)).toBe("closed");
    }
    await outside.ip("route", "add", web.v4, "via", "10.205.4.1");
    expect(await outside.ask("tcp", web.v4, 80)).toBe("closed");
    expect(await other.netns.ask("tcp", web.v4, 80)).toMatch(/^web /);
    // Without isolateLoopback pods are reached by their addresses, as Kubernetes wants.
    await outside.ip("route", "add", other.v4, "via", "10.205.4.1");
    await other.netns.serve(80, "other");
    expect(await outside.ask("tcp", other.v4, 80)).toMatch(/^other /);
  });

  it("a port on one address of the node is closed on the others, and two pods may share its number", async () => {
    await using outside = await neighbour(5);
    await node.ip("addr", "add", "10.205.5.9/32", "dev", "kbtout5");
    await outside.ip("route", "add", "10.205.5.9", "via", "10.205.5.1");
    const conf = network();
    await using one = await pod(conf, [mapping(8084, { hostIP: "10.205.5.1" })]);
    await using two = await pod(conf, [mapping(8084, { hostIP: "10.205.5.9" })]);
    await one.netns.serve(80, "one");
    await two.netns.serve(80, "two");
    expect(await outside.ask("tcp", "10.205.5.1", 8084)).toMatch(/^one /);
    expect(await outside.ask("tcp", "10.205.5.9", 8084)).toMatch(/^two /);
    expect(await node.ask("tcp", "127.0.0.1", 8084)).toBe("closed");
  });

  it("names the pod that has the port already, and takes nothing from it", async () => {
    const conf = network();
    await using web = await pod(conf, [mapping(8085)]);
    await using other = await pod(conf);
    const failed = await plugins.call("portmap", "ADD", other.id, other.netns.path, {
      ...conf,
      prevResult: other.result,
      runtimeConfig: { portMappings: [mapping(8086), mapping(8085)] },
    });
    expect(JSON.parse(failed.out).msg).toContain(`host port *:8085/tcp is taken by ${web.id}/eth0`);
    expect(await rules()).not.toContain("8086");
    await plugins.ok("portmap", "DEL", other.id, other.netns.path, { ...conf });
    expect(await rules()).toContain("6 . 8085");
  });

  it("CHECK notices a flush; the next pod's ADD brings the rules back (N6)", async () => {
    const conf = network();
    await using web = await pod(conf, [mapping(8087)]);
    const check = { ...conf, prevResult: web.result, runtimeConfig: { portMappings: [mapping(8087)] } };
    await plugins.ok("portmap", "CHECK", web.id, web.netns.path, check);
    await node.run("nft", "flush", "chain", "inet", "kobako", "hostports_guard");
    const noticed = await plugins.call("portmap", "CHECK", web.id, web.netns.path, check);
    expect(JSON.parse(noticed.out).msg).toContain("rules of table kobako");
    await using other = await pod(conf, [mapping(8088)]);
    expect(other.v4).not.toBe("");
    await plugins.ok("portmap", "CHECK", web.id, web.netns.path, check);
  });

  it("GC closes the ports of pods that are gone, of its network only", async () => {
    const [conf, elsewhere] = [network(), network()];
    await using web = await pod(conf, [mapping(8089)]);
    await using lost = await pod(conf, [mapping(8090)]);
    await using other = await pod(elsewhere, [mapping(8091)]);
    expect([lost.id, other.id]).toHaveLength(2);
    const valid = [{ containerID: web.id, ifname: "eth0" }];
    await plugins.ok("portmap", "GC", "", "", {
      ...conf,
      type: "portmap",
      "cni.dev/valid-attachments": valid,
    });
    const left = await rules();
    expect(left).toContain("6 . 8089");
    expect(left).not.toContain("8090");
    expect(left).toContain("6 . 8091");
  });

  it.each([
    ["a port out of range", [{ hostPort: 70000, containerPort: 80 }], 7, "hostPort"],
    ["an unknown protocol", [{ hostPort: 1, containerPort: 80, protocol: "icmp" }], 7, "icmp"],
    ["a host IP that is none", [{ hostPort: 1, containerPort: 80, hostIP: "localhost" }], 7, "localhost"],
    ["no list", "x", 7, "portMappings"],
  ])("refuses %s", async (_, portMappings, code, words) => {
    const conf = network();
    await using a = await pod(conf);
    const { out } = await plugins.call("portmap", "ADD", a.id, a.netns.path, {
      ...conf,
      prevResult: a.result,
      runtimeConfig: { portMappings },
    });
    expect(JSON.parse(out)).toMatchObject({ code, msg: expect.stringContaining(words) });
  });
});

describe("router advertisements (N3)", () => {
  it("of a pod change nobody's routes", async () => {
    const conf = network();
    await using evil = await pod(conf);
    await using other = await pod(conf);
    const sender = join(folder.path, "send-ra");
    await writeFile(sender, program("send-ra"), { mode: 0o755 });
    const veths = (await node.ip("-o", "link", "show", "master", conf.bridge)).match(/veth[0-9a-f]+/g) ?? [];
    for (const link of [conf.bridge, ...new Set(veths)]) {
      const { out } = await node.run("cat", `/proc/sys/net/ipv6/conf/${link}/accept_ra`);
      expect([link, out.trim()]).toEqual([link, "0"]);
    }
    for (const { netns } of [evil, other]) {
      expect((await netns.run("cat", "/proc/sys/net/ipv6/conf/eth0/accept_ra")).out.trim()).toBe("0");
    }
    expect((await evil.netns.run(sender, "eth0")).code).toBe(0);
    // The link carried it: the other pod has counted router advertisements.
    await waitFor("advertisements to arrive", async () =>
      /Icmp6InRouterAdvertisements\s+[1-9]/.test((await other.netns.run("cat", "/proc/net/snmp6")).out),
    );
    for (const routes of [
      await node.ip("-6", "route"),
      await other.netns.ip("-6", "route"),
      await other.netns.ip("-6", "addr"),
    ]) {
      expect(routes).not.toMatch(/2001:db8:bad|proto ra/);
    }
  });
});
