/**
 * A container's root filesystem as a block device, as VM shims without a shared folder want it: one mount of type ext4
 * whose source is the device. The image is made of the container's overlay, seen in the mount namespace that the monitor
 * has for it; the device ends by itself with its last user (native/monitor/shim_disk.c).
 * Sources: Kata src/runtime/pkg/containerd-shim-v2 create.go, checkAndMount; containerd's devmapper snapshotter.
 */
import { RuntimeError } from "../../errors/runtime-error.ts";
import { toolPath } from "../../process/tool.ts";
import type { MountInit } from "../../ttrpc/message.ts";
import type { MonitorSandbox } from "../builtin.ts";
import { text } from "../monitor/protocol.ts";
import { shown } from "./bootstrap.ts";
import type { ShimProgram } from "./program.ts";

export interface Disk {
  /** In whose mount namespace `folder` is seen, prepared and not yet created. Undefined: it is the sandbox's own. */
  readonly container?: string;
  /** What is copied. */
  readonly folder: string;
  /** Made here; whoever made the folder that it is in removes it. */
  readonly image: string;
  readonly bytes: number;
  /** Of the root folder, which mkfs does not copy. */
  readonly root: { readonly uid: number; readonly gid: number; readonly mode: number };
}

const what = 'rootfs = "block"';
/** Its filesystem has no journal: after a crash of the host nobody mounts it again. */
const features = ["-m", "0", "-O", "^has_journal"];

/** @throws RuntimeError `failed-precondition` without the tools or loop devices, and for an image that does not fit. */
export async function blockMount(
  monitor: MonitorSandbox,
  program: ShimProgram,
  { container, folder, image, bytes, root }: Disk,
  signal: AbortSignal,
): Promise<MountInit> {
  const { uid, gid, mode } = root;
  const owner = `root_owner=${uid}:${gid}`;
  const size = `${Math.floor(bytes / 1024)}k`;
  const mkfs = [toolPath("mkfs.ext4", what), "-q", "-F", ...features, "-E", owner, "-d", folder, image, size];
  const made = await program.tool(mkfs, { container }, signal);
  if (made.code !== 0) {
    const why = /allocat|no (?:free )?space|inode|too (?:small|big|large)/i.test(made.stderr.toString())
      ? `it may not fit into ${bytes} bytes (rootfs_size): `
      : "";
    throw new RuntimeError("failed-precondition", `filesystem for a container: ${why}${shown(made.stderr)}`);
  }
  // What an overlay has not: mkfs made it. One of the image's own stays where something is in it.
  const stdin = `rmdir /lost+found\nset_inode_field / mode 0${(mode & 0o177777).toString(8)}\n`;
  const set = await program.tool([toolPath("debugfs", what), "-w", "-f", "-", image], { stdin }, signal);
  // Its exit code says nothing of the commands.
  const complaints = set.stderr
    .toString()
    .split("\n")
    .filter((line) => line !== "" && !/^(?:debugfs \d|rmdir: )/.test(line));
  if (set.code !== 0 || complaints.length > 0)
    throw new RuntimeError("internal", `root folder of a filesystem: ${shown(set.stderr)}`);
  const answer = await monitor.request(
    "disk",
    { ...(container === undefined ? {} : { container }), image },
    signal,
  );
  return { type: "ext4", source: text(answer, "device"), options: [] };
}
