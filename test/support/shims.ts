/** Containerd's and gVisor's real shims, as they can be run on this machine. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const tools = new URL("../../hack/tools", import.meta.url).pathname;

/** Paths of outside programs, built where they are not there yet. */
export function toolPaths(...names: string[]): string[] {
  return execFileSync(tools, names, { encoding: "utf8" }).trim().split("\n");
}

const sysResource = 24n;

/** Whether this machine lets root lower an oom_score_adj: CAP_SYS_RESOURCE, capabilities(7). */
export function mayLowerOomScore(): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return ((BigInt(`0x${mask}`) >> sysResource) & 1n) === 1n;
}

export interface RunscShim {
  readonly shim: string;
  readonly runsc: string;
  /** For the handler's option `config_path`. */
  readonly config: string;
}

/**
 * gVisor's shim with its configuration in `folder`. It ends when it can't give itself a low OOM score, unless it
 * believes to be in a user namespace: where the machine has no CAP_SYS_RESOURCE it is started in a mount namespace in
 * which that one process reads so. Everything else of it is as it is.
 */
export function runscShim(folder: string): RunscShim {
  const [shim = "", runsc = ""] = toolPaths("containerd-shim-runsc-v1", "runsc");
  mkdirSync(folder, { recursive: true });
  const config = join(folder, "runsc.toml");
  writeFileSync(
    config,
    `binary_name = "${runsc}"\nroot = "${folder}/state"\n\n[runsc_config]\nplatform = "systrap"\n${process.env.KOBAKO_RUNSC_DEBUG ? `debug = "true"\ndebug-log = "${process.env.KOBAKO_RUNSC_DEBUG}/"\n` : ""}`,
  );
  if (mayLowerOomScore()) return { shim, runsc, config };
  const map = join(folder, "uid_map");
  const wrapper = join(folder, "containerd-shim-runsc-v1");
  writeFileSync(map, "0 100000 65536\n");
  writeFileSync(
    wrapper,
    `#!/bin/sh\nexport SHIM=${shim} MAP=${map}\nexec unshare -m --propagation slave sh -c 'mount --bind "$MAP" /proc/$$/uid_map && exec "$SHIM" "$@"' shim "$@"\n`,
  );
  chmodSync(wrapper, 0o755);
  return { shim: wrapper, runsc, config };
}

/** A PATH on which there is a CRIU that works here, beside what else is needed. */
export function criuPath(): string {
  const trixie = new URL("../../hack/trixie", import.meta.url).pathname;
  const criu = execFileSync(trixie, ["criu"], { encoding: "utf8" }).trim();
  return `${dirname(criu)}:/usr/sbin:/usr/bin:/sbin:/bin`;
}

/**
 * The real shims as handlers of a node: `runsc-shim`, `runc-shim`, and `block`, which is the second with block devices.
 * `path`: what the second finds programs on.
 */
export function shimHandlers(folder: string, path?: string): string {
  const gvisor = runscShim(join(folder, "runsc"));
  const [runcShim = "", runc = ""] = toolPaths("containerd-shim-runc-v2", "runc");
  const ofRunc = `type = "shim-v2"
path = "${runcShim}"
options = { binary_name = "${runc}", root = "${folder}/runc"${path === undefined ? "" : `, env_PATH = "${path}"`} }
`;
  return `
[runtimes.runsc-shim]
type = "shim-v2"
path = "${gvisor.shim}"
options = { config_path = "${gvisor.config}" }

[runtimes.runc-shim]
${ofRunc}
[runtimes.block]
${ofRunc}rootfs = "block"
rootfs_size = "1GiB"
`;
}
