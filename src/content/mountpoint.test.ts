import { expect, it } from "vitest";
import { nearestMountpoint } from "./mountpoint.ts";

const mountinfo = [
  "22 1 8:1 / / rw,relatime - ext4 /dev/vda rw",
  "30 22 8:2 / /var/lib rw shared:1 - xfs /dev/vdb rw",
  "31 22 8:3 / /var/lib2 rw - xfs /dev/vdc rw",
  "32 22 8:4 / /mnt/with\\040space rw - xfs /dev/vdd rw",
  "",
].join("\n");

it.each([
  ["/var/lib/kobako/layers", "/var/lib"],
  ["/var/lib", "/var/lib"],
  ["/var/library", "/"],
  ["/srv", "/"],
  ["/mnt/with space/x", "/mnt/with space"],
])("%s is on the file system mounted at %s", (path, at) => {
  expect(nearestMountpoint(mountinfo, path)).toBe(at);
});
