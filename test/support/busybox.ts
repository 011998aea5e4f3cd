/** Layers with a small userland, from Debian's busybox-static. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Entry } from "./image-builder.ts";

const busyboxPath = "/bin/busybox";
let cached: readonly Entry[] | undefined;

/**
 * busybox with a symbolic link per applet in /bin, and the files that users and tools look for:
 * users root (0), daemon (1), web (1000, groups web and extra 2000), numeric home folders.
 */
export function busyboxEntries(): readonly Entry[] {
  cached ??= makeBusyboxEntries();
  return cached;
}

function makeBusyboxEntries(): readonly Entry[] {
  const applets = execFileSync(busyboxPath, ["--list"], { encoding: "utf8" })
    .split("\n")
    .filter((name) => name !== "" && name !== "busybox");
  return [
    { name: "bin/" },
    { name: "bin/busybox", mode: 0o755, content: readFileSync(busyboxPath) },
    ...applets.map(
      (name): Entry => ({ name: `bin/${name}`, type: "symlink", linkname: "busybox", mode: 0o777 }),
    ),
    { name: "dev/" },
    { name: "etc/" },
    {
      name: "etc/passwd",
      content:
        "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nweb:x:1000:1000:web:/home/web:/bin/sh\n",
    },
    { name: "etc/group", content: "root:x:0:\ndaemon:x:1:\nweb:x:1000:\nextra:x:2000:web\n" },
    { name: "home/" },
    { name: "home/web/", uid: 1000, gid: 1000 },
    { name: "proc/" },
    { name: "root/", mode: 0o700 },
    { name: "sys/" },
    { name: "tmp/", mode: 0o1777 },
    { name: "usr/" },
    { name: "usr/sbin/" },
    { name: "var/" },
  ];
}
