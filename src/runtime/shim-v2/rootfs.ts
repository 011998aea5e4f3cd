/** The root filesystem of a container as a shim mounts it. */
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { MountInit } from "../../ttrpc/message.ts";
import type { PrepareRequest } from "../handler.ts";

/** mount(2) takes a page of options; shims know no other way. Source: mount(2), NOTES. */
const maxOptionBytes = 3500;

/** The overlay of `rootfs`. Long paths of layers get short names in the bundle, so that hundreds of layers fit. */
export function overlayMount(rootfs: PrepareRequest["rootfs"], bundle: string): MountInit {
  const lower = rootfs.lower.join(":");
  return {
    type: "overlay",
    source: "overlay",
    options: [
      `lowerdir=${Buffer.byteLength(lower) > maxOptionBytes ? shortNames(rootfs.lower, bundle) : lower}`,
      `upperdir=${rootfs.upper}`,
      `workdir=${rootfs.work}`,
      "index=off",
      ...rootfs.options,
    ],
  };
}

function shortNames(lower: readonly string[], bundle: string): string {
  const folder = join(bundle, "l");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o700 });
  return lower
    .map((path, i) => {
      const name = join(folder, i.toString(36));
      symlinkSync(path, name);
      return name;
    })
    .join(":");
}
