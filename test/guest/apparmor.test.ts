/** AppArmor where the kernel has it: a profile holds from the first instruction on, one that is not loaded stops the create. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ProfileType } from "../../cri-api/index.ts";
import { Bundle } from "../integration/oci/bundle.ts";
import { container, createContainer, exec, output, runPod, startContainer } from "../support/pods.ts";
import { tempDir } from "../support/temp-dir.ts";
import { useNode } from "../support/use-node.ts";

const profile = "kobako-test-profile";
const confined = `${profile} (enforce)`;

/** Everything but files below /tmp. */
const text = `
profile ${profile} flags=(attach_disconnected,mediate_deleted) {
  file,
  network,
  capability,
  signal,
  umount,
  mount,
  pivot_root,
  deny /tmp/** w,
}
`;

beforeAll(async () => {
  expect(readFileSync("/sys/module/apparmor/parameters/enabled", "utf8").trim()).toBe("Y");
  await using folder = await tempDir("apparmor");
  const file = join(folder.path, "profile");
  writeFileSync(file, text);
  execFileSync("apparmor_parser", ["--replace", "--skip-cache", file]);
});

describe("kobako-oci", () => {
  it("runs the process, and what is exec'd beside it, under process.apparmorProfile", async () => {
    await using b = new Bundle((s) => {
      s.process.apparmorProfile = profile;
    });
    const r = b.sh("cat /proc/self/attr/current; echo x > /tmp/x; echo y > /etc/y && echo written");
    expect(r.stdout).toBe(`${confined}\nwritten\n`);
    expect(r.stderr).toContain("/tmp/x: Permission denied");
    b.spec.process.args = ["/bin/sleep", "1000"];
    b.create();
    b.start();
    expect(readFileSync(`/proc/${b.pid()}/attr/current`, "utf8").trim()).toBe(confined);
    expect(b.exec(["/bin/cat", "/proc/self/attr/current"]).stdout.trim()).toBe(confined);
  });

  it("exec --apparmor runs a process under another profile than its container's", async () => {
    await using b = new Bundle((s) => {
      s.process.args = ["/bin/sleep", "1000"];
    });
    b.create();
    b.start();
    const own = ["/bin/cat", "/proc/self/attr/current"];
    expect(b.exec(own).stdout.trim()).toBe("unconfined");
    expect(b.exec(own, ["--apparmor", profile]).stdout.trim()).toBe(confined);
    const none = b.exec(own, ["--apparmor", "kobako-no-such-profile"]);
    expect(none.code).not.toBe(0);
    expect(none.stderr).toContain("kobako-no-such-profile");
  });

  it("without a profile the process is unconfined, and so it is with the name unconfined", async () => {
    for (const name of [undefined, "unconfined"]) {
      await using b = new Bundle((s) => {
        if (name !== undefined) s.process.apparmorProfile = name;
      });
      expect(b.sh("cat /proc/self/attr/current").stdout.trim()).toBe("unconfined");
    }
  });

  it.each(["kobako-no-such-profile", "unconfined_x"])(
    "a profile %s that is not loaded is an error that names it, and nothing runs",
    async (name) => {
      await using b = new Bundle((s) => {
        s.process.apparmorProfile = name;
      });
      const r = b.sh("echo ran");
      expect(r.code).not.toBe(0);
      expect(r.stdout).toBe("");
      expect(r.stderr).toContain(name);
      b.oci(["delete", "--force", b.id]);
      expect(b.traces()).toEqual([]);
    },
  );
});

describe("a container of the CRI", () => {
  const node = useNode();
  const localhost = (localhostRef: string) => ({
    apparmor: { profileType: ProfileType.Localhost, localhostRef },
  });

  it("runs under its Localhost profile, execs too", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon);
    const id = await startContainer(daemon, sandbox, container(image, { security: localhost(profile) }));
    expect(await output(daemon, id, "cat /proc/1/attr/current /proc/self/attr/current")).toBe(
      `${confined}\n${confined}`,
    );
    expect((await exec(daemon, id, "echo x > /tmp/x")).stderr).toContain("Permission denied");
  });

  it("does not start with a profile that is not loaded", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon);
    const start = async () => {
      const id = await createContainer(
        daemon,
        sandbox,
        container(image, { security: localhost("kobako-none") }),
      );
      await daemon.client.startContainer({ containerId: id });
    };
    await expect(start()).rejects.toThrow(/kobako-none/);
  });
});
