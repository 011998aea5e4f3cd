/** test/systemd, inside a real systemd with v1's hierarchies and with the v2 tree. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readCgroupLayout } from "../../src/cgroup/layout.ts";
import { testDaemon } from "../support/daemon.ts";
import { toolPaths } from "../support/shims.ts";
import { slowness } from "../support/slowness.ts";
import { underSystemd } from "../support/systemd.ts";

const [runc = "", runsc = ""] = toolPaths("runc", "runsc");
const root = join(import.meta.dirname, "../..");

it.for(["v1", "v2"] as const)("the daemon with cgroup_driver systemd, on %s", (version, t) => {
  if (version === "v1" && readCgroupLayout().version !== 1) t.skip("this kernel has no v1 hierarchies");
  const folder = mkdtempSync(join(tmpdir(), "ks-"));
  try {
    const { code, output } = underSystemd(
      version,
      [folder],
      `cd ${root}; export TMPDIR=${folder} HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
       export KOBAKO_SLOWNESS=${slowness} KOBAKO_RUNC=${runc} KOBAKO_RUNSC=${runsc}
       systemctl start dbus.service # crun knows no other way to systemd
       mkdir -p /run/netns; mount --make-rshared /
       unset KOBAKO_RUN; ${process.execPath} node_modules/vitest/vitest.mjs run --project=systemd`,
    );
    if (code !== 0) console.log(output);
    expect(code, "see the output above").toBe(0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

it("cgroup_driver systemd is refused where no systemd runs, with what to do", async (t) => {
  if (existsSync("/run/systemd/system")) t.skip("this machine runs systemd");
  await expect(testDaemon({ flags: ["--set", "cgroup_driver=systemd"] })).rejects.toThrow(
    /this machine does not run systemd .*leave it out, or set/,
  );
});
