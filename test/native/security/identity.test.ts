/** Rows I4-I7 of the security bar: capability sets, no_new_privs and setuid, in the container and in an exec. */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { program } from "../../support/programs.ts";
import { type Bundle, capabilityMask, type Spec, statusFields } from "../../integration/oci/bundle.ts";
import { bothWays } from "./ways.ts";

const status = "grep -E '^(Cap|NoNew|Seccomp|Groups|Uid|Gid)' /proc/self/status";
const usual = capabilityMask(0, 5, 27, 10, 7, 6);
const none = capabilityMask();

function sleeping(s: Spec): void {
  s.process.args = ["/bin/sleep", "1000"];
}

function running(b: Bundle): void {
  expect(b.create()).toMatchObject({ code: 0 });
  expect(b.start()).toMatchObject({ code: 0 });
}

/** A program whose file gives CAP_KILL to who has it inheritable. Layout: linux/capability.h, vfs_cap_data. */
function fileCapability(path: string): void {
  const value = Buffer.alloc(20);
  value.writeUInt32LE(0x02000001, 0); // revision 2, effective
  value.writeUInt32LE(1 << 5, 8); // inheritable
  const set = `import os,sys; os.setxattr(sys.argv[1], "security.capability", bytes.fromhex(sys.argv[2]))`;
  const r = spawnSync("python3", ["-c", set, path, value.toString("hex")], { encoding: "utf8" });
  if (r.status !== 0) throw new Error(r.stderr);
}

bothWays("capabilities", (way) => {
  it("I4, I5, F3, I6, I7: the sets of a root container and of an exec in it are those asked for", async () => {
    await using b = way.bundle(sleeping);
    running(b);
    const inside = statusFields(readFileSync(`/proc/${b.pid()}/status`, "utf8"));
    const exec = statusFields(b.exec(["/bin/sh", "-c", status]).stdout);
    for (const fields of [inside, exec]) {
      expect([fields.CapInh, fields.CapAmb]).toEqual([none, none]);
      expect([fields.CapPrm, fields.CapEff, fields.CapBnd]).toEqual([usual, usual, usual]);
      expect(fields.NoNewPrivs).toBe("1");
    }
  });

  it("I4: a file with inheritable capabilities gives nothing to the container nor to an exec", async () => {
    await using b = way.bundle((s, bundle) => {
      sleeping(s);
      s.process.noNewPrivileges = false;
      s.process.user = { uid: 1000, gid: 1000 };
      s.process.capabilities = { bounding: ["CAP_KILL"] };
      const path = join(bundle.rootfs, "with-capability/grep"); // busybox looks at its own name
      mkdirSync(join(bundle.rootfs, "with-capability"));
      copyFileSync("/bin/busybox", path);
      chmodSync(path, 0o755);
      fileCapability(path);
    });
    const grep = ["/with-capability/grep", "CapEff", "/proc/self/status"];
    b.spec.process.args = grep;
    expect(statusFields(b.run().stdout).CapEff).toBe(none);
    sleeping(b.spec);
    running(b);
    expect(statusFields(b.exec(grep).stdout).CapEff).toBe(none);
    // With the capability inheritable the file does give it: what was tried above is able to.
    b.oci(["delete", "--force", b.id]);
    const kill = ["CAP_KILL"];
    b.spec.process.capabilities = { bounding: kill, inheritable: kill, permitted: kill };
    b.spec.process.args = grep;
    expect(statusFields(b.run().stdout).CapEff).toBe(capabilityMask(5));
  });

  it("I5: a user other than root has no effective capability, in the container and in an exec", async () => {
    await using b = way.bundle((s) => {
      sleeping(s);
      s.process.user = { uid: 1000, gid: 1001, additionalGids: [1001, 5000] };
      s.process.capabilities = { bounding: ["CAP_CHOWN"] };
    });
    running(b);
    const inside = statusFields(readFileSync(`/proc/${b.pid()}/status`, "utf8"));
    const exec = statusFields(b.exec(["/bin/sh", "-c", status]).stdout);
    for (const fields of [inside, exec]) {
      expect(fields.Uid?.split(/\s+/)[0]).toBe("1000");
      expect(fields.Groups?.trim()).toBe("1001 5000");
      expect([fields.CapEff, fields.CapPrm, fields.CapAmb]).toEqual([none, none, none]);
    }
  });

  it("I5: an exec as another user than the container's root takes no effective capability along", async () => {
    await using b = way.bundle(sleeping);
    running(b);
    const fields = statusFields(b.exec(["/bin/sh", "-c", status], ["--user", "1000:1000"]).stdout);
    expect([fields.CapEff, fields.CapPrm, fields.CapAmb]).toEqual([none, none, none]);
  });

  it("I5: what is asked for as ambient is effective", async () => {
    await using b = way.bundle((s) => {
      const kill = ["CAP_KILL"];
      s.process.user = { uid: 1000, gid: 1000 };
      s.process.capabilities = {
        bounding: kill,
        permitted: kill,
        inheritable: kill,
        ambient: kill,
        effective: kill,
      };
    });
    expect(statusFields(b.sh(status).stdout).CapEff).toBe(capabilityMask(5));
  });

  it("F3, I6: an exec runs as the container's user and has no more than the container, unless its caller says so", async () => {
    await using b = way.bundle((s) => {
      sleeping(s);
      s.process.user = { uid: 1, gid: 2, additionalGids: [3] };
      s.process.capabilities = { bounding: ["CAP_KILL"] };
    });
    running(b);
    expect(b.exec(["/bin/id"]).stdout).toMatch(/^uid=1 gid=2 groups=(2,)?3/);
    const file = join(b.folder, "process.json");
    const execOf = (process: object) => {
      writeFileSync(
        file,
        JSON.stringify({ args: ["/bin/sh", "-c", status], cwd: "/", env: ["PATH=/bin"], ...process }),
      );
      return statusFields(b.oci(["exec", "-p", file, b.id]).stdout);
    };
    // Also as root, when nothing is said of capabilities: the container's five sets.
    const same = execOf({ user: { uid: 0, gid: 0 } });
    expect([same.CapBnd, same.CapEff, same.CapPrm, same.CapInh, same.CapAmb]).toEqual([
      capabilityMask(5),
      ...[none, none, none, none],
    ]);
    // The engine that made the container may give more, by name (docker exec --privileged); nothing comes along with it.
    const admin = ["CAP_SYS_ADMIN"];
    const more = execOf({ capabilities: { bounding: admin, permitted: admin, effective: admin } });
    const mask = capabilityMask(21);
    expect([more.CapBnd, more.CapPrm, more.CapEff]).toEqual([mask, mask, mask]);
    expect([more.CapInh, more.CapAmb]).toEqual([none, none]);
    expect(statusFields(b.exec(["/bin/sh", "-c", status]).stdout).CapBnd).toBe(capabilityMask(5));
  });

  it("I7: a setuid program gives root without no_new_privs only, also in an exec", async () => {
    await using b = way.bundle((s, bundle) => {
      s.process.user = { uid: 1000, gid: 1000 };
      s.process.args = ["/suid"];
      writeFileSync(join(bundle.rootfs, "suid"), program("effective-uid"));
      chmodSync(join(bundle.rootfs, "suid"), 0o4755);
    });
    for (const noNewPrivileges of [true, false]) {
      b.spec.process.noNewPrivileges = noNewPrivileges;
      b.spec.process.args = ["/suid"];
      expect(b.run().stdout.includes("1000")).toBe(noNewPrivileges);
      sleeping(b.spec);
      running(b);
      expect(b.exec(["/suid"]).stdout.includes("1000")).toBe(noNewPrivileges);
      b.oci(["delete", "--force", b.id]);
    }
  });
});
