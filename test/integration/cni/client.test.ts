/** The CNI client with plugins of every temper, and the embedded network on the machine itself. */
import { chmod, link, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLogger } from "../../../src/log/log.ts";
import { Network, type NetworkConfig } from "../../../src/network/network.ts";
import { processesWith } from "../../../src/process/stray.ts";
import { type TempDir, tempDir } from "../../support/temp-dir.ts";
import { waitFor } from "../../support/wait.ts";
import { loopDisk } from "../../support/loop-disk.ts";
import { Netns } from "./netns.ts";
import { pluginDir } from "./plugin-calls.ts";

const execute = promisify(execFile);
const log = createLogger({ level: "silent" });
const signal = () => AbortSignal.timeout(30_000);

let folder: TempDir;
beforeEach(async () => {
  folder = await tempDir("net");
  for (const name of ["conf", "conf2", "bin", "log"]) await mkdir(join(folder.path, name));
});
afterEach(async () => {
  await folder[Symbol.asyncDispose]();
});

function client(more: Partial<NetworkConfig> = {}): Network {
  const instance = randomBytes(4).toString("hex");
  return new Network({
    config: {
      default: "none",
      confDirs: [join(folder.path, "conf"), join(folder.path, "conf2")],
      binDirs: [join(folder.path, "bin")],
      subnets: [],
      instance: { suffix: `-${instance}`, bridge: `kb${instance}` },
      cacheDir: join(folder.path, "network"),
      pluginDir,
      probeIntervalMs: 0,
      ...more,
    },
    log,
  });
}

/** A plugin that notes each call in log/<name>-<verb>, then does as `body` says. */
async function plugin(name: string, body: string): Promise<void> {
  const path = join(folder.path, "bin", name);
  const note = `env | grep ^CNI_ >> ${folder.path}/log/${name}-$CNI_COMMAND; cat > ${folder.path}/log/stdin-${name}-$CNI_COMMAND`;
  await writeFile(path, `#!/bin/sh\n${note}\n${body}\n`);
  await chmod(path, 0o755);
}
const answer = `[ $CNI_COMMAND = ADD ] && echo '{"cniVersion":"1.1.0","ips":[{"address":"10.9.9.9/24"}]}'; exit 0`;

async function conflist(plugins: object[], more: object = {}, file = "conf/10.conflist"): Promise<void> {
  const text = JSON.stringify({ cniVersion: "1.1.0", name: "testnet", plugins, ...more });
  await writeFile(join(folder.path, file), text);
}

const calls = async (name: string, verb: string) =>
  (await readFile(join(folder.path, "log", `${name}-${verb}`), "utf8").catch(() => "")).match(
    /^CNI_COMMAND=/gm,
  )?.length ?? 0;
const stdin = async (name: string, verb: string) =>
  JSON.parse(await readFile(join(folder.path, "log", `stdin-${name}-${verb}`), "utf8"));
const records = () => readdir(join(folder.path, "network/attachments")).catch(() => []);

const newId = () => randomBytes(32).toString("hex");
const request = (netns: Netns, sandboxId = newId(), more = {}) => ({
  sandboxId,
  name: "web-0",
  namespace: "default",
  uid: "8a6b",
  netnsPath: netns.path,
  portMappings: [],
  annotations: {},
  cgroupParent: "/kubepods/pod8a6b",
  ...more,
});

describe("status", () => {
  it("names the folders and the key while there is no configuration, and heals without a restart (F4)", async () => {
    const network = client();
    await network.open(signal());
    expect(network.status()).toMatchObject({
      ready: false,
      message: expect.stringContaining(join(folder.path, "conf")),
    });
    expect(network.status().message).toContain('network.default = "embedded"');
    await writeFile(join(folder.path, "conf/10.conflist"), "{");
    expect(network.status().message).toContain("10.conflist is not valid JSON");
    await conflist([{ type: "good" }], {}, "conf/20.conflist");
    expect(network.status().message).toMatch(/20.conflist needs CNI plugin good, which is not in/);
    await plugin("good", answer);
    expect(network.status()).toEqual({ ready: true, reason: "", message: "" });
    await rm(join(folder.path, "conf/20.conflist"));
    expect(network.status().ready).toBe(false);
    await conflist([{ type: "good" }], {}, "conf2/10.conflist");
    expect(network.status().ready).toBe(true);
  });

  it.each(["../../bin/sh", "/bin/sh", ""])(
    "with plugin %j is not ready and runs nothing (N4)",
    async (type) => {
      await conflist([{ type }]);
      const network = client();
      expect(network.status()).toMatchObject({
        ready: false,
        message: expect.stringContaining("plain plugin name"),
      });
      await using netns = await Netns.make("pod");
      await expect(network.attach(request(netns), signal())).rejects.toMatchObject({ kind: "unavailable" });
      expect(await records()).toEqual([]);
    },
  );

  it("is what a plugin's STATUS says", async () => {
    await conflist([{ type: "moody" }]);
    await plugin(
      "moody",
      `[ -e ${folder.path}/down ] && { echo '{"code":50,"msg":"the agent is away"}'; exit 1; }\n${answer}`,
    );
    await writeFile(join(folder.path, "down"), "");
    const network = client();
    await network.open(signal());
    expect(network.status()).toMatchObject({
      ready: false,
      message: expect.stringContaining("the agent is away"),
    });
    await rm(join(folder.path, "down"));
    await waitFor("ready", () => network.status().ready);
    network.close();
  });
});

describe("a pod's network", () => {
  it("is made plugin by plugin, each told what came before and what it asks for, and taken back in reverse", async () => {
    await plugin("one", answer);
    await plugin(
      "two",
      '[ $CNI_COMMAND = ADD ] && cat > /dev/null; [ $CNI_COMMAND = ADD ] && echo \'{"cniVersion":"1.1.0","ips":[{"address":"10.9.9.9/24"},{"address":"fd00::9/64"}]}\'; exit 0',
    );
    await conflist([
      { type: "one", mtu: 1400 },
      { type: "two", capabilities: { portMappings: true, dns: true } },
    ]);
    const network = client();
    await using netns = await Netns.make("pod");
    const port = { protocol: "tcp" as const, containerPort: 80, hostPort: 8080, hostIp: "127.0.0.1" };
    const pod = request(netns, newId(), { portMappings: [port, { ...port, hostPort: 0 }] });
    const attachment = await network.attach(pod, signal());
    expect(attachment).toEqual({
      ips: ["10.9.9.9", "fd00::9"],
      networkName: "testnet",
      interfaceName: "eth0",
    });
    expect(await stdin("one", "ADD")).toEqual({
      type: "one",
      mtu: 1400,
      name: "testnet",
      cniVersion: "1.1.0",
    });
    expect(await stdin("two", "ADD")).toMatchObject({
      prevResult: { ips: [{ address: "10.9.9.9/24" }] },
      runtimeConfig: {
        portMappings: [{ protocol: "tcp", containerPort: 80, hostPort: 8080, hostIP: "127.0.0.1" }],
      },
    });
    const env = await readFile(join(folder.path, "log/one-ADD"), "utf8");
    expect(env).toContain(`CNI_NETNS=${netns.path}\n`);
    expect(env).toContain(
      `CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=${pod.sandboxId};K8S_POD_UID=8a6b\n`,
    );
    expect((await netns.ip("-o", "link", "show", "lo")).includes("UP")).toBe(true);
    await network.check(pod.sandboxId, signal());
    expect(await calls("two", "CHECK")).toBe(1);

    // The configuration changes; DEL is as ADD was.
    await conflist([{ type: "one", mtu: 9000 }]);
    await network.detach(pod.sandboxId, netns.path, signal());
    expect(await calls("two", "DEL")).toBe(1);
    expect(await stdin("one", "DEL")).toMatchObject({ mtu: 1400, prevResult: { ips: [{}, {}] } });
    expect(await stdin("two", "DEL")).toMatchObject({
      runtimeConfig: { portMappings: [{ hostPort: 8080 }] },
    });
    expect(await records()).toEqual([]);
    await network.detach(pod.sandboxId, netns.path, signal());
    expect(await calls("one", "DEL")).toBe(1);
  });

  it.each([
    [
      "an error",
      `echo '{"code":7,"msg":"no such thing","details":"subnet"}'; echo 'a hint' >&2; exit 3`,
      /bad of .*10.conflist: ADD: no such thing; subnet \(exit code 3, code 7, stderr: a hint\)/,
    ],
    ["no words", "exit 1", /bad of .*: ADD: no error message \(exit code 1\)/],
    ["a crash", "kill -SEGV $$", /killed by SIGSEGV/],
    ["no answer", "exit 0", /no answer/],
    ["nonsense", "echo hello; exit 0", /its answer is not valid JSON/],
    ["a result without an address", 'echo \'{"cniVersion":"1.1.0"}\'', /has no address for the pod/],
  ])("that fails with %s says so, is followed by DEL and leaves nothing (F1)", async (_, body, words) => {
    await plugin("bad", `[ $CNI_COMMAND = ADD ] || exit 0\n${body}`);
    await conflist([{ type: "bad" }]);
    const network = client();
    await using netns = await Netns.make("pod");
    await expect(network.attach(request(netns), signal())).rejects.toThrow(words);
    expect(await calls("bad", "DEL")).toBe(1);
    expect(await records()).toEqual([]);
  });

  it("whose plugin hangs ends at its limit, with all its children (F1, N5)", async () => {
    await plugin(
      "slow",
      `[ $CNI_COMMAND = ADD ] || exit 0\nsleep 613 & echo $! > ${folder.path}/child\nsleep 613`,
    );
    await conflist([{ type: "slow" }]);
    const network = client({ pluginTimeoutMs: 300 });
    await using netns = await Netns.make("pod");
    await expect(network.attach(request(netns), signal())).rejects.toMatchObject({
      kind: "deadline-exceeded",
      message: expect.stringContaining("slow of"),
    });
    const child = (await readFile(join(folder.path, "child"), "utf8")).trim();
    await waitFor(
      "the plugin's child to end",
      async () => !/^State:\s+[^ZX]/m.test(await readFile(`/proc/${child}/status`, "utf8").catch(() => "")),
    );
    expect(await records()).toEqual([]);
  });

  it("whose ADD hangs after its caller has gone is taken back when it has had its time", async () => {
    await plugin("hung", `[ $CNI_COMMAND = ADD ] && setsid sleep 60 <&- >&- 2>&-; exit 0`);
    await conflist([{ type: "hung" }]);
    await using netns = await Netns.make("pod");
    const pod = request(netns);
    const adding = client()
      .attach(pod, signal())
      .catch((error: unknown) => error);
    await waitFor("the plugin", async () => (await calls("hung", "ADD")) === 1);
    await client({ pluginTimeoutMs: 500 }).detach(pod.sandboxId, pod.netnsPath, signal()); // a new daemon
    expect(processesWith(`CNI_CONTAINERID=${pod.sandboxId}`)).toEqual([]);
    expect(await adding).toBeInstanceOf(Error);
    expect(await records()).toEqual([]);
  });

  it("whose caller gives up is taken back all the same", async () => {
    await plugin("slow", `[ $CNI_COMMAND = ADD ] || exit 0\nsleep 613`);
    await conflist([{ type: "slow" }]);
    const network = client();
    await using netns = await Netns.make("pod");
    const abort = new AbortController();
    const attaching = network.attach(request(netns), abort.signal);
    attaching.catch(() => {});
    await waitFor("the plugin to run", async () => (await calls("slow", "ADD")) === 1);
    abort.abort();
    await expect(attaching).rejects.toMatchObject({ kind: "cancelled" });
    expect(await calls("slow", "DEL")).toBe(1);
    expect(await records()).toEqual([]);
  });

  it("whose plugin prints a gigabyte or leaves children behind stays small (N5)", async () => {
    await plugin("loud", `[ $CNI_COMMAND = ADD ] || exit 0\nexec head -c 1073741824 /dev/zero`);
    await conflist([{ type: "loud" }]);
    const network = client();
    await using netns = await Netns.make("pod");
    await expect(network.attach(request(netns), signal())).rejects.toMatchObject({
      kind: "resource-exhausted",
    });
    await plugin(
      "loud",
      `[ $CNI_COMMAND = ADD ] && { sleep 613 & echo $! > ${folder.path}/child; }\n${answer}`,
    );
    await network.attach(request(netns), signal());
    const child = (await readFile(join(folder.path, "child"), "utf8")).trim();
    await waitFor(
      "the plugin's child to end",
      async () => !/^State:\s+[^ZX]/m.test(await readFile(`/proc/${child}/status`, "utf8").catch(() => "")),
    );
  });

  it("whose DEL fails stays recorded until a later one succeeds (F2); a namespace that is gone is told as gone", async () => {
    await plugin(
      "stubborn",
      `[ $CNI_COMMAND = DEL ] && [ -e ${folder.path}/refuse ] && { echo '{"code":11,"msg":"later"}'; exit 1; }\n${answer}`,
    );
    await conflist([{ type: "stubborn" }]);
    const network = client();
    const netns = await Netns.make("pod");
    const pod = request(netns);
    await network.attach(pod, signal());
    await writeFile(join(folder.path, "refuse"), "");
    for (let i = 0; i < 3; i++) {
      await expect(network.detach(pod.sandboxId, pod.netnsPath, signal())).rejects.toMatchObject({
        kind: "unavailable",
      });
    }
    expect(await records()).toHaveLength(1);
    await netns[Symbol.asyncDispose]();
    await rm(join(folder.path, "refuse"));
    await rm(join(folder.path, "log/stubborn-DEL"));
    await client().detach(pod.sandboxId, pod.netnsPath, signal()); // a new daemon
    expect(await readFile(join(folder.path, "log/stubborn-DEL"), "utf8")).not.toContain("CNI_NETNS");
    expect(await records()).toEqual([]);
  });

  it("is on disk before ADD: a power cut finds what is to be given back", async () => {
    await using disk = await loopDisk({ sizeMib: 16 });
    const cut = join(folder.path, "cut");
    await plugin("slow", `[ $CNI_COMMAND = ADD ] && cp ${disk.image} ${cut}\n${answer}`);
    await conflist([{ type: "slow" }]);
    await using netns = await Netns.make("pod");
    const pod = request(netns);
    await client({ cacheDir: join(disk.path, "network") }).attach(pod, signal());
    const after = join(folder.path, "after");
    await mkdir(after);
    await execute("mount", ["-o", "loop", cut, after]);
    try {
      await rm(join(folder.path, "log/slow-ADD"));
      await client({ cacheDir: join(after, "network") }).detach(pod.sandboxId, undefined, signal());
      expect(await readFile(join(folder.path, "log/slow-DEL"), "utf8")).toMatch(/CNI_ARGS=.*web-0/);
    } finally {
      await execute("umount", ["--lazy", after]);
    }
  });

  it.each(["", "{}", '{"ifname":'])(
    "whose record is %j is given back as the network is now",
    async (text) => {
      await plugin("one", answer);
      await conflist([{ type: "one" }]);
      await using netns = await Netns.make("pod");
      const pod = request(netns);
      await client().attach(pod, signal());
      const [record = ""] = await records();
      await writeFile(join(folder.path, "network/attachments", record), text);
      await client().detach(pod.sandboxId, pod.netnsPath, signal());
      const del = await readFile(join(folder.path, "log/one-DEL"), "utf8");
      expect(del).toContain(`CNI_CONTAINERID=${pod.sandboxId}`);
      expect(del).toContain(`CNI_NETNS=${netns.path}`);
      expect(await records()).toEqual([]);
    },
  );

  it("whose record is broken is given up where there is no network any more", async () => {
    await plugin("one", answer);
    await conflist([{ type: "one" }]);
    await using netns = await Netns.make("pod");
    const pod = request(netns);
    await client().attach(pod, signal());
    const [record = ""] = await records();
    await writeFile(join(folder.path, "network/attachments", record), "");
    await rm(join(folder.path, "conf/10.conflist"));
    await client().detach(pod.sandboxId, pod.netnsPath, signal());
    expect(await records()).toEqual([]);
  });

  it("with a path that is no namespace is never given the host's instead (F5)", async () => {
    const network = client();
    await conflist([
      {
        type: "bridge",
        bridge: "kbtnever",
        ipam: { type: "host-local", dataDir: join(folder.path, "a"), subnet: "10.206.0.0/24" },
      },
    ]);
    const file = join(folder.path, "unmounted");
    await writeFile(file, "");
    await using netns = await Netns.make("pod");
    await expect(network.attach({ ...request(netns), netnsPath: file }, signal())).rejects.toThrow(
      /no network namespace/,
    );
    await expect(
      network.attach({ ...request(netns), netnsPath: "/proc/self/ns/net" }, signal()),
    ).rejects.toThrow(/host's network namespace/);
    expect(existsSync("/sys/class/net/kbtnever")).toBe(false);
  });
});

describe("the embedded network", () => {
  const links = async () => (await execute("ip", ["-o", "link"])).stdout;

  it("connects pods of two instances side by side, and removeAll leaves no trace of one", async () => {
    const forward = () => readFile("/proc/sys/net/ipv4/ip_forward", "utf8");
    const before = await forward();
    const [a, b] = ["a", "b"].map((name) => {
      const id = randomBytes(4).toString("hex");
      const instance = { suffix: `-${id}`, bridge: `kb${id}` };
      return {
        network: client({ default: "embedded", instance, cacheDir: join(folder.path, name) }),
        ...instance,
      };
    });
    if (a === undefined || b === undefined) throw new Error("no instances");
    try {
      expect(a.network.status()).toEqual({ ready: true, reason: "", message: "" });
      await using one = await Netns.make("pod");
      await using two = await Netns.make("pod");
      await using other = await Netns.make("pod");
      const port = { protocol: "tcp" as const, containerPort: 80, hostPort: 18_080, hostIp: "" };
      const first = request(one, newId(), { portMappings: [port] });
      const attached = await Promise.all([
        a.network.attach(first, signal()),
        a.network.attach(request(two), signal()),
        b.network.attach(request(other), signal()),
      ]);
      const [ips = [], , otherIps = []] = attached.map(({ ips: list }) => list);
      expect(ips).toEqual([expect.stringMatching(/^10\.8[0-3]\./), expect.stringMatching(/^fd/)]);
      expect(otherIps[0]?.split(".").slice(0, 3)).not.toEqual(ips[0]?.split(".").slice(0, 3));
      await one.serve(80, "first");
      for (const ip of ips) expect(await two.ask("tcp", ip, 80)).toMatch(/^first /);
      expect(await other.ask("tcp", ips[0] ?? "", 80)).toMatch(/^first /);
      expect(await one.ask("tcp", otherIps[0]?.replace(/\d+$/, "1") ?? "", 18_080)).toMatch(/^first /);
      await a.network.check(first.sandboxId, signal());

      await a.network.detach(first.sandboxId, one.path, signal());
      expect(
        (await readdir(join(folder.path, "a/addresses", `kobako${a.suffix}`))).filter((f) => ips.includes(f)),
      ).toEqual([]);
      expect(await other.ask("tcp", ips[0] ?? "", 80)).toBe("closed");
    } finally {
      await a.network.removeAll(signal());
      expect(await links()).not.toContain(a.bridge);
      expect(await links()).toContain(b.bridge);
      await b.network.removeAll(signal());
    }
    expect(await links()).not.toContain(b.bridge);
    const tables = (await execute("nft", ["list", "tables"])).stdout;
    for (const { suffix } of [a, b]) expect(tables).not.toContain(`kobako${suffix}`);
    expect(await readdir(join(folder.path, "a"))).toEqual(["attachments"]);
    if (!existsSync("/run/kobako-network")) expect(await forward()).toBe(before);
  });

  it("keeps its subnets, and follows the pod CIDR without cutting off the pods that run", async () => {
    const id = randomBytes(4).toString("hex");
    const instance = { suffix: `-${id}`, bridge: `kb${id}` };
    const open = () => client({ default: "embedded", instance });
    try {
      await using one = await Netns.make("pod");
      await using two = await Netns.make("pod");
      const first = await open().attach(request(one), signal());
      const again = await open().attach(request(two, newId()), signal());
      expect(again.ips[0]?.replace(/\d+$/, "")).toBe(first.ips[0]?.replace(/\d+$/, ""));
      const network = open();
      network.setPodCidr("10.207.7.0/24,fd00:207::/64");
      await using three = await Netns.make("pod");
      const third = await network.attach(request(three), signal());
      expect(third.ips).toEqual(["10.207.7.2", "fd00:207::2"]);
      await one.serve(80, "old");
      for (const ip of first.ips) expect(await three.ask("tcp", ip, 80)).toMatch(/^old /);
      expect(await two.ask("tcp", first.ips[0] ?? "", 80)).toMatch(/^old /);
      expect(() => network.setPodCidr("nonsense")).toThrow(
        expect.objectContaining({ kind: "invalid-argument" }),
      );
    } finally {
      await open().removeAll(signal());
    }
  });

  it.each(["", "{}", '{"ipv4":"10.300.0.0/16"}'])(
    "chooses subnets anew when their record is %j",
    async (text) => {
      const id = randomBytes(4).toString("hex");
      const instance = { suffix: `-${id}`, bridge: `kb${id}` };
      const open = () => client({ default: "embedded", instance });
      try {
        await using one = await Netns.make("pod");
        await using two = await Netns.make("pod");
        const pod = request(one);
        const first = await open().attach(pod, signal());
        await writeFile(join(folder.path, "network/subnet.json"), text);
        const network = open();
        expect(network.status()).toMatchObject({ ready: true });
        const second = await network.attach(request(two), signal());
        expect(second.ips[0]?.replace(/\d+$/, "")).toBe(first.ips[0]?.replace(/\d+$/, ""));
        await one.serve(80, "old");
        for (const ip of first.ips) expect(await two.ask("tcp", ip, 80)).toMatch(/^old /);
        await network.detach(pod.sandboxId, one.path, signal());
      } finally {
        await open().removeAll(signal());
      }
    },
  );

  it("gives addresses back that neither a pod nor a record has", async () => {
    const id = randomBytes(4).toString("hex");
    const instance = { suffix: `-${id}`, bridge: `kb${id}` };
    const network = client({ default: "embedded", instance });
    const leases = async () =>
      (await readdir(join(folder.path, "network/addresses", `kobako-${id}`))).filter(
        (name) => isIP(name) !== 0,
      );
    try {
      const pods = await Promise.all(
        ["recorded", "live", "gone"].map(async (name) => {
          const netns = await Netns.make(name);
          const pod = request(netns);
          return { ...pod, netns, ips: (await network.attach(pod, signal())).ips };
        }),
      );
      const [recorded, live, gone] = pods;
      for (const pod of [live, gone])
        await rm(join(folder.path, "network/attachments", `${pod?.sandboxId}.json`));
      await network.gc([live?.sandboxId ?? ""], signal());
      expect((await leases()).sort()).toEqual([...(recorded?.ips ?? []), ...(live?.ips ?? [])].sort());
      await Promise.all(pods.map(({ netns }) => netns[Symbol.asyncDispose]()));
    } finally {
      await network.removeAll(signal());
    }
  });

  it("writes its subnets once", async () => {
    const id = randomBytes(4).toString("hex");
    const instance = { suffix: `-${id}`, bridge: `kb${id}` };
    const open = () => client({ default: "embedded", instance });
    const written = async () => (await stat(join(folder.path, "network/subnet.json"))).ino;
    try {
      open().status();
      const first = await written();
      // A file that is replaced has another inode while both are there.
      await link(join(folder.path, "network/subnet.json"), join(folder.path, "kept"));
      open().status();
      expect(await written()).toBe(first);
    } finally {
      await open().removeAll(signal());
    }
  });
});
