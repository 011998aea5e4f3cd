import { existsSync, mkdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { waitFor } from "../../support/wait.ts";
import { Bundle } from "./bundle.ts";

describe("lifecycle", () => {
  it("create, start, state, kill and delete go through created, running and stopped", async () => {
    await using b = new Bundle((s) => {
      s.process.args = ["/bin/sh", "-c", "echo up; exec sleep 1000"];
      s.annotations = { "org.example": "kept" };
    });
    expect(b.create()).toMatchObject({ code: 0, stderr: "" });
    expect(b.status()).toBe("created");
    expect(b.output()).toBe("");
    expect(b.start()).toMatchObject({ code: 0, stderr: "" });
    expect(b.status()).toBe("running");
    await waitFor("output", () => b.output() === "up\n");
    expect(JSON.parse(b.oci(["state", b.id]).stdout)).toMatchObject({
      id: b.id,
      bundle: b.folder,
      annotations: { "org.example": "kept" },
    });
    expect(b.oci(["delete", b.id]).stderr).toContain("is running");
    expect(b.oci(["kill", b.id, "KILL"]).code).toBe(0);
    await waitFor("stopped", () => b.status() === "stopped");
    expect(b.oci(["kill", b.id, "KILL"]).stderr).toContain("is not running");
    expect(b.oci(["delete", b.id]).code).toBe(0);
    expect(b.traces()).toEqual([]);
    expect(b.oci(["state", b.id]).stderr).toContain("does not exist");
  });

  it("run gives the exit status of the process, and 128 + N when a signal ended it", async () => {
    await using b = new Bundle();
    expect(b.sh("exit 7").code).toBe(7);
    // PID 1 of its own namespace is immune to its own signals: here it is an ordinary process.
    b.spec.linux.namespaces = b.spec.linux.namespaces.filter(({ type }) => type !== "pid");
    expect(b.sh("kill -9 $$; sleep 10").code).toBe(128 + 9);
    expect(b.traces()).toEqual([]);
  });

  it("a signal to run that comes before its program runs does not end it and leave the container alone", async () => {
    await using b = new Bundle((s) => {
      // The hook's parent is the runner, and that one's is `run`.
      const line = "kill -TERM $(sed -n 's/^PPid:[[:space:]]*//p' /proc/$PPID/status)";
      s.hooks = {
        createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", line], env: ["PATH=/usr/bin:/bin"] }],
      };
    });
    // Passed on to PID 1 of a namespace, which has not asked for it: nothing.
    expect(b.sh("grep SigBlk /proc/self/status; exit 7")).toEqual({
      code: 7,
      stdout: "SigBlk:\t0000000000000000\n",
      stderr: "",
    });
    expect(b.traces()).toEqual([]);
    b.spec.hooks = {};
    b.spec.process.args = ["/bin/sleep", "1000"];
    expect(b.create().code).toBe(0);
    expect(b.start().code).toBe(0);
    expect(b.exec(["/bin/grep", "SigBlk", "/proc/self/status"]).stdout).toBe("SigBlk:\t0000000000000000\n");
  });

  it("an id is taken once, and a failed second create leaves the first alone", async () => {
    await using b = new Bundle((s) => {
      s.process.args = ["/bin/sleep", "1000"];
    });
    expect(b.create().code).toBe(0);
    const second = b.create();
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`container "${b.id}": file exists`);
    expect(b.status()).toBe("created");
  });

  it.each([["../x"], ["a/b"], [""], [".."], ["a\nb"], ["x".repeat(2000)]])(
    "refuses an id that is no plain name (%#)",
    async (id) => {
      await using b = new Bundle();
      b.write();
      const r = b.oci(["create", "-b", b.folder, id]);
      expect(r.code).toBe(1);
      expect(r.stderr).toContain("container id");
    },
  );

  it("a created container that is never started goes with delete", async () => {
    await using b = new Bundle();
    expect(b.create().code).toBe(0);
    const pid = b.pid();
    expect(b.oci(["delete", b.id]).code).toBe(0);
    expect(existsSync(`/proc/${pid}/ns`) && !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z")).toBe(
      false,
    );
    expect(b.traces()).toEqual([]);
  });

  it("nothing of the host's descriptors or folders is open in a created or a running container", async () => {
    await using b = new Bundle((s) => {
      s.process.args = ["/bin/sleep", "1000"];
    });
    b.create();
    const links = () =>
      b.exec(["/bin/sh", "-c", "ls -l /proc/1/fd | grep -c ''; readlink /proc/1/cwd; readlink /proc/1/root"])
        .stdout;
    const pid = b.pid();
    const open = (["0", "1", "2"] as const).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    expect(open[0]).toMatch(/null|pipe|socket/);
    expect(open.slice(1)).toEqual([join(b.folder, "create.out"), join(b.folder, "create.err")]);
    // One more while it waits: the socket on which it is told to start. The runner's it closes when create is told.
    const others = () =>
      Array.from({ length: 64 }, (_, n) => `/proc/${pid}/fd/${n + 3}`).flatMap((fd) => target(fd) ?? []);
    const [socket] = await waitFor("one descriptor", () => {
      const open = others();
      return open.length === 1 && open;
    });
    expect(socket).toMatch(/^socket:/);
    b.start();
    expect(links()).toBe("4\n/\n/\n"); // "total" and three
  });
});

function target(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}

describe("hooks", () => {
  it("all six kinds run in their order with the state on stdin and only their own environment", async () => {
    await using b = new Bundle((s, bundle) => {
      const log = join(bundle.folder, "hooks.log");
      const script = join(bundle.folder, "hook");
      const line = `read -r state; echo "$1 $(echo $state | sed 's/.*"status":"\\([a-z]*\\)".*/\\1/') $(env | sort | tr '\\n' ' ') $(pwd)"`;
      writeFileSync(script, `#!/bin/sh\n(${line}) >>${log}\n`, { mode: 0o755 });
      writeFileSync(join(bundle.rootfs, "hook"), '#!/bin/sh\nread -r s; echo "start $X" >/hook.log\n', {
        mode: 0o755,
      });
      process.env.SECRET_OF_THE_CALLER = "x";
      const hook = (name: string) => [{ path: script, args: ["hook", name], env: ["X=1"] }];
      s.hooks = {
        prestart: hook("prestart"),
        createRuntime: hook("createRuntime"),
        createContainer: hook("createContainer"),
        startContainer: [{ path: "/hook", args: ["hook"], env: ["X=2"] }],
        poststart: hook("poststart"),
        poststop: hook("poststop"),
      };
    });
    expect(b.run()).toMatchObject({ code: 0, stderr: "" });
    const lines = readFileSync(join(b.folder, "hooks.log"), "utf8").trim().split("\n");
    expect(lines.map((l) => l.split(" ").slice(0, 2).join(" "))).toEqual([
      "prestart creating",
      "createRuntime creating",
      "createContainer creating",
      "poststart running",
      "poststop stopped",
    ]);
    for (const l of lines) {
      expect(l).toContain("X=1");
      expect(l).not.toMatch(/SECRET|LD_|PATH=\/bin /);
      expect(l.endsWith(" /")).toBe(true);
    }
    expect(readFileSync(join(b.rootfs, "hook.log"), "utf8")).toBe("start 2\n");
  });

  it("a hook that fails or takes too long fails the create and leaves nothing", async () => {
    await using b = new Bundle((s) => {
      s.hooks = { createRuntime: [{ path: "/bin/false" }] };
    });
    expect(b.run().stderr).toContain("createRuntime hook /bin/false: exit status 1");
    expect(b.traces()).toEqual([]);
    b.spec.hooks = { createContainer: [{ path: "/bin/sleep", args: ["sleep", "100"], timeout: 1 }] };
    expect(b.run().stderr).toContain("not done in time");
    expect(b.traces()).toEqual([]);
  });
});

describe("errors", () => {
  it.each([
    [["/nope"], 'exec "/nope": no such file or directory (in the rootfs)'],
    [["nope"], 'exec "nope": no such file or directory (in the rootfs, PATH /bin)'],
    [["/etc"], 'exec "/etc": is a directory (in the rootfs)'],
    [["/plain"], 'exec "/plain": permission denied (in the rootfs)'],
    [["/foreign"], 'exec "/foreign": the program is for arm64: exec format error (in the rootfs)'],
  ])("create of %j says what is wrong and leaves nothing", async (args, message) => {
    await using b = new Bundle((s, bundle) => {
      s.process.args = args;
      writeFileSync(join(bundle.rootfs, "plain"), "x", { mode: 0o644 });
      const elf = Buffer.alloc(64);
      elf.write("\x7fELF", "latin1");
      elf.set([2, 1, 1], 4);
      elf.writeUInt16LE(183, 18);
      writeFileSync(join(bundle.rootfs, "foreign"), elf, { mode: 0o755 });
    });
    const r = b.create();
    expect(r.code).toBe(1);
    expect(r.stderr).toContain(message);
    expect(b.traces()).toEqual([]);
  });

  it("start names the interpreter that is missing", async () => {
    await using b = new Bundle((s, bundle) => {
      s.process.args = ["/script"];
      writeFileSync(join(bundle.rootfs, "script"), "#!/not/there\n", { mode: 0o755 });
    });
    expect(b.create().code).toBe(0);
    expect(b.start().stderr).toContain(
      'exec "/script": its interpreter is missing: no such file or directory (in the rootfs)',
    );
    await waitFor("stopped", () => b.status() === "stopped");
  });

  it("the log file gets the error as JSON", async () => {
    await using b = new Bundle((s) => {
      s.process.args = ["/nope"];
    });
    b.write();
    const log = join(b.folder, "log.json");
    b.oci(["--log", log, "--log-format", "json", "run", "-b", b.folder, b.id]);
    expect(JSON.parse(readFileSync(log, "utf8"))).toMatchObject({
      level: "error",
      msg: expect.stringContaining("/nope"),
    });
  });

  it("what is asked for and can't be given is refused by name", async () => {
    await using b = new Bundle();
    const missing = join(b.folder, "missing");
    const refused = (change: () => void, message: string) => {
      change();
      const r = b.run();
      expect(r.code).toBe(1);
      expect(r.stderr).toContain(message);
      expect(b.traces()).toEqual([]);
    };
    refused(() => {
      b.spec.process.apparmorProfile = "unconfined_x";
    }, 'AppArmor profile "unconfined_x"');
    refused(() => {
      b.spec.process.apparmorProfile = "unconfined";
      b.spec.process.selinuxLabel = "x:y:z";
    }, 'SELinux label "x:y:z"');
    refused(() => {
      delete b.spec.process.selinuxLabel;
      b.spec.mounts.push({ destination: "/m", type: "tmpfs", options: ["size=x"] });
    }, 'option "size=x" of tmpfs');
    refused(() => {
      b.spec.mounts.pop();
      b.spec.mounts.push({ destination: "/m", type: "bind", source: missing, options: ["bind"] });
    }, `source "${missing}": no such file or directory`);
    refused(() => {
      b.spec.mounts.pop();
      b.spec.linux.sysctl = { "kernel.core_pattern": "|/x" };
    }, "sysctl kernel.core_pattern belongs to the machine");
  });
});

describe("rootfs", () => {
  it("is read-only when asked, and what was mounted in it is not", async () => {
    await using b = new Bundle((s) => {
      s.root.readonly = true;
      s.mounts.push({ destination: "/tmp", type: "tmpfs", source: "tmpfs" });
    });
    const r = b.sh("touch /x 2>&1; touch /tmp/x && echo ok");
    expect(r.stdout).toBe("touch: /x: Read-only file system\nok\n");
  });

  it("the working folder is made when missing, relative programs start there", async () => {
    await using b = new Bundle((s) => {
      s.process.cwd = "/made/here";
    });
    expect(b.sh("readlink /proc/self/cwd").stdout).toBe("/made/here\n");
    expect(statSync(join(b.rootfs, "made/here")).isDirectory()).toBe(true);
  });

  it("hostname and loopback are the container's own", async () => {
    await using b = new Bundle();
    expect(b.sh("hostname; cat /sys/class/net/lo/flags").stdout).toBe("bundle\n0x9\n");
  });

  it("binds folders, files and sockets, and makes the missing targets", async () => {
    await using b = new Bundle((s, bundle) => {
      mkdirSync(join(bundle.folder, "volume/sub"), { recursive: true });
      writeFileSync(join(bundle.folder, "volume/file"), "content\n");
      s.mounts.push(
        { destination: "/data/volume", type: "bind", source: "volume", options: ["rbind", "ro"] },
        {
          destination: "/etc/deep/file",
          type: "bind",
          source: join(bundle.folder, "volume/file"),
          options: ["bind"],
        },
      );
    });
    const r = b.sh(
      "cat /data/volume/file /etc/deep/file; touch /data/volume/x 2>&1; echo new >/etc/deep/file",
    );
    expect(r.stdout).toBe("content\ncontent\ntouch: /data/volume/x: Read-only file system\n");
    expect(readFileSync(join(b.folder, "volume/file"), "utf8")).toBe("new\n");
  });
});
