/** The settings of docs/k3s.md on a node laid out as k3s does it. k3s itself is not there: its folders and files are. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { busyboxEntries } from "../support/busybox.ts";
import { testDaemon } from "../support/daemon.ts";
import { buildImage } from "../support/image-builder.ts";
import { testImageConfig } from "../support/node.ts";
import { container, output, pod, runPod, startContainer } from "../support/pods.ts";
import { Registry, registryPassword, registryUser } from "../support/registry.ts";
import { toolPaths } from "../support/shims.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/k3s.md"), "utf8");
const plugins = ["bridge", "host-local", "portmap"] as const;

/** The page's settings with `replacements` in them; each must be there. */
function settings(replacements: Readonly<Record<string, string>>): string {
  const block = /```toml\n([^`]+)```/.exec(page)?.[1];
  if (block === undefined) throw new Error("docs/k3s.md has no settings");
  return Object.entries(replacements).reduce((text, [what, by]) => {
    if (!text.includes(what)) throw new Error(`the settings of docs/k3s.md do not name ${what}`);
    return text.replaceAll(what, by);
  }, block);
}

/** Stands in for flannel's plugin, whose work is to give a bridge's configuration to the plugin that it names. */
function flannel(bridge: string, folder: string): string {
  const delegate = {
    cniVersion: "1.0.0",
    name: "cbr0",
    type: "bridge",
    bridge,
    hairpinMode: true,
    forceAddress: true,
    isDefaultGateway: true,
    ipMasq: false,
    ipam: { type: "host-local", dataDir: join(folder, "ipam"), subnet: "10.42.0.0/24" },
  };
  return `#!/bin/sh
IFS=:
for folder in $CNI_PATH; do
  [ -x "$folder/bridge" ] && exec "$folder/bridge" <<'END'
${JSON.stringify(delegate)}
END
done
exit 1
`;
}

/** As k3s writes it once it has a pod CIDR. */
const conflist = {
  name: "cbr0",
  cniVersion: "1.0.0",
  plugins: [
    { type: "flannel", delegate: { hairpinMode: true, forceAddress: true, isDefaultGateway: true } },
    { type: "portmap", capabilities: { portMappings: true } },
  ],
};

describe("k3s", () => {
  it("its CNI folders and a mirror with a password: ready when its conflist comes, pods in its network", async () => {
    await using registry = await Registry.start({ auth: true });
    const built = await buildImage({ layers: [busyboxEntries()], config: testImageConfig });
    await registry.push("rancher/test", "1", built);
    await using daemon = await testDaemon({ network: "none" });
    const at = (...parts: string[]) => join(daemon.folder, "k3s", ...parts);
    const bridge = `k3${basename(daemon.folder).slice(-6)}`;
    mkdirSync(at("data/cni"), { recursive: true });
    for (const [i, path] of toolPaths(...plugins.map((name) => `cni-${name}`)).entries())
      symlinkSync(path, at("data/cni", plugins[i] ?? ""));
    writeFileSync(at("data/cni/flannel"), flannel(bridge, at()), { mode: 0o755 });
    writeFileSync(
      daemon.configFile,
      `root = "${daemon.root}"\nstate = "${daemon.state}"\nserver.socket = "${daemon.socket}"\n${settings({
        "/var/lib/rancher/k3s": at(),
        '"/etc/cni/net.d"': `"${at("none/net.d")}"`,
        '"/opt/cni/bin"': `"${at("none/bin")}"`,
        "/etc/ssl/mirror.pem": "/etc/ssl/certs/ca-certificates.crt",
        "https://mirror.example:5000": registry.url,
        "mirror.example:5000": registry.host,
        '"node"': `"${registryUser}"`,
        '"secret"': `"${registryPassword}"`,
      })}`,
    );
    await daemon.restart("SIGTERM");
    const network = async () => {
      const { status } = await daemon.client.status({});
      return status?.conditions.find(({ type }) => type === "NetworkReady");
    };
    expect(await network()).toMatchObject({ status: false });
    mkdirSync(at("agent/etc/cni/net.d"), { recursive: true });
    writeFileSync(at("agent/etc/cni/net.d/10-flannel.conflist"), JSON.stringify(conflist));
    expect(await network()).toMatchObject({ status: true, message: "" });

    const image = "rancher/test:1"; // of docker.io, as k3s' own pods name theirs
    await daemon.client.pullImage({ image: { image } });
    try {
      const pods = [await runPod(daemon, pod(daemon)), await runPod(daemon, pod(daemon))];
      const addresses = pods.map(({ ip }) => ip);
      for (const address of addresses) expect(address).toMatch(/^10\.42\.0\.\d+$/);
      const [first, second] = pods;
      if (first === undefined || second === undefined) throw new Error("two pods");
      const id = await startContainer(daemon, first, container(image));
      expect(await output(daemon, id, `ping -c 1 -W 2 ${addresses[1]} >/dev/null && echo reached`)).toBe(
        "reached",
      );
      expect(existsSync(at("ipam/cbr0", addresses[0] ?? ""))).toBe(true);
      await daemon.removeAllPods();
      expect(existsSync(at("ipam/cbr0", addresses[0] ?? ""))).toBe(false);
    } finally {
      await daemon.removeAllPods();
      execFileSync("ip", ["link", "delete", bridge]);
    }
  });
});
