/**
 * A systemd for tests: this machine's files under systemd-nspawn, read-only below a layer of memory, with systemd as
 * PID 1 and nothing but one unit: a shell script. Up and down again in 0.3 s; everything of it goes with it.
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeCgroups } from "./host.ts";
import { ownName } from "./run.ts";
import { within } from "./slowness.ts";

/** Which cgroups the systemd has: v1's hierarchies, or the v2 tree with the controllers that v1 has not taken. */
export type SystemdCgroups = "v1" | "v2";

export interface SystemdRun {
  readonly code: number;
  readonly output: string;
}

const repository = join(import.meta.dirname, "../..");

const unit = `[Unit]
DefaultDependencies=no
SuccessAction=exit
FailureAction=exit
[Service]
Type=oneshot
TimeoutStartSec=${within(150)}
StandardOutput=append:/result/output
StandardError=append:/result/output
ExecStart=/bin/sh /result/script
`;

// In a mount namespace of its own. $1: folder, $2: cgroup, $3: yes or no, the rest: options of nspawn.
const start = `set -eu
folder=$1 cgroup=$2 unified=$3
shift 3
mount --make-rprivate /
# In every hierarchy: what systemd makes is below it, and goes with it.
for tree in /sys/fs/cgroup /sys/fs/cgroup/*; do
  mountpoint -q $tree && [ -e $tree/cgroup.procs ] || continue # not what is below v2's root
  mkdir -p $tree$cgroup
  for file in cpuset.cpus cpuset.mems; do
    [ ! -e $tree/tasks ] || [ ! -e $tree/$file ] || cat $tree/$file >$tree$cgroup/$file
  done
  echo 0 >$tree$cgroup/cgroup.procs
done
# Where v2 has the controllers: the root gives them on, nspawn and systemd further down.
for name in $(cat /sys/fs/cgroup/cgroup.controllers 2>/dev/null); do echo +$name >/sys/fs/cgroup/cgroup.subtree_control; done
mount -t tmpfs tmpfs $folder/layer
mkdir $folder/layer/root $folder/layer/upper $folder/layer/work
mount -t overlay overlay -o lowerdir=/,upperdir=$folder/layer/upper,workdir=$folder/layer/work $folder/layer/root
cp $folder/unit $folder/layer/root/etc/systemd/system/kobako-test.service
mkdir -p $folder/layer/root/result
SYSTEMD_SECCOMP=0 SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=$unified exec systemd-nspawn --quiet --register=no --keep-unit \\
  --private-network --console=pipe --capability=all --machine=kobako --uuid=$(cat /proc/sys/kernel/random/uuid | tr -d -) \\
  -D $folder/layer/root --bind=$folder/result:/result "$@" /lib/systemd/systemd --unit=kobako-test.service --show-status=no
`;

/**
 * Runs the lines of a shell script as the only unit. `folders` are seen in it at their own paths, and may be written to.
 * Its hierarchies of v1 are made writable first, as on a machine of its own.
 */
export function underSystemd(
  cgroups: SystemdCgroups,
  folders: readonly string[],
  script: string,
): SystemdRun {
  if (!existsSync("/usr/bin/systemd-nspawn"))
    throw new Error("no systemd-nspawn: hack/setup installs systemd-container");
  const folder = mkdtempSync(join(tmpdir(), "kn-"));
  const cgroup = `/${ownName()}`;
  try {
    chmodSync(folder, 0o755);
    for (const name of ["layer", "result"]) mkdirSync(join(folder, name));
    writeFileSync(join(folder, "unit"), unit);
    const writable =
      "for tree in /sys/fs/cgroup /sys/fs/cgroup/*/; do mount -o remount,rw,bind $tree; done 2>/dev/null";
    writeFileSync(join(folder, "result/script"), `${writable}\n${script}\n`);
    const binds = [repository, ...folders].map((path) => `--bind=${path}`);
    const r = spawnSync(
      "unshare",
      ["--mount", "sh", "-c", start, "sh", folder, cgroup, cgroups === "v2" ? "yes" : "no", ...binds],
      { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: within(170_000) },
    );
    const file = join(folder, "result/output");
    if (!existsSync(file)) throw new Error(`systemd did not start\n${r.stdout}${r.stderr}`);
    return { code: r.status ?? -1, output: readFileSync(file, "utf8") };
  } finally {
    removeCgroups(cgroup);
    rmdirSync(join(folder, "layer"));
    rmSync(folder, { recursive: true, force: true });
  }
}
