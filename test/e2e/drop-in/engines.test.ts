/** kobako-oci in the place of runc under podman and docker: what their users do all day. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitFor } from "../../support/wait.ts";
import { type Engine, type EngineName, image, kobakoOci, startEngine } from "./engine.ts";

const minuteMs = 60_000;
const mib = 1 << 20;

describe.each<EngineName>(["podman", "docker"])("%s", (name) => {
  let engine: Engine;
  let names = 0;

  beforeAll(async () => {
    engine = await startEngine(name);
  }, 2 * minuteMs);
  afterAll(() => engine?.[Symbol.asyncDispose](), minuteMs);

  const place = () => ["--network", "none", "--cgroup-parent", engine.cgroupParent];
  const once = (command: readonly string[], options: readonly string[] = [], input?: string) =>
    engine.call(["run", "--rm", ...place(), ...options, image, ...command], input);
  const sh = (script: string) => ["sh", "-c", script];
  const inspect = (container: string, field: string) =>
    engine.must(["inspect", "-f", `{{${field}}}`, container]);
  const running = async (command: readonly string[] = ["waiter"], options: readonly string[] = []) => {
    const container = `box-${++names}`;
    await engine.must(["run", "-d", "--name", container, ...place(), ...options, image, ...command]);
    return container;
  };

  it("uses kobako-oci", async () => {
    const container = await running();
    const used = await inspect(container, name === "podman" ? ".OCIRuntime" : ".HostConfig.Runtime");
    expect(used).toBe("kobako");
    const known =
      name === "podman"
        ? await engine.must(["info", "-f", "{{.Host.OCIRuntime.Path}}"])
        : await engine.must(["info", "-f", `{{(index .Runtimes "kobako").Path}}`]);
    expect(known).toBe(kobakoOci);
  });

  it("run: output of both streams, input, exit codes", async () => {
    expect(await once(sh("echo out; echo err >&2; exit 3"))).toEqual({
      code: 3,
      stdout: "out\n",
      stderr: "err\n",
    });
    expect((await once(["cat"], ["-i"], "from outside")).stdout).toBe("from outside");
    expect((await once(sh("sh -c 'kill -9 $$'; exit $?"))).code).toBe(137);
  });

  it("run: a program that is missing is 127, one that can't be executed 126, as with runc", async () => {
    const missing = await once(["/nonexistent"]);
    expect(missing.stderr).toContain("/nonexistent");
    expect(missing.code).toBe(127);
    const denied = await once(["/etc/passwd"]);
    expect(denied.stderr).toContain("/etc/passwd");
    expect(denied.code).toBe(126);
  });

  it("exec: output, exit code, user, working folder, environment; a missing program", async () => {
    const container = await running();
    const exec = (command: readonly string[], ...options: string[]) =>
      engine.call(["exec", ...options, container, ...command]);
    expect(await exec(sh("echo in; exit 5"))).toMatchObject({ code: 5, stdout: "in\n" });
    expect(
      (
        await exec(
          sh('id -u; id -g; pwd; echo "$COLOUR"'),
          "-u",
          "1000:2000",
          "-w",
          "/tmp",
          "-e",
          "COLOUR=red",
        )
      ).stdout,
    ).toBe("1000\n2000\n/tmp\nred\n");
    expect((await exec(["/nonexistent"])).code).toBeGreaterThanOrEqual(126);
    expect((await engine.call(["exec", "-i", container, "cat"], "piped")).stdout).toBe("piped");
  });

  it("exec --privileged has capabilities that its container has not; another exec does not get them", async () => {
    const container = await running();
    const [sysAdmin, netAdmin] = [1n << 21n, 1n << 12n];
    const held = async (pid: string, ...options: string[]) => {
      const line = await engine.must([
        "exec",
        ...options,
        container,
        "grep",
        "^CapEff",
        `/proc/${pid}/status`,
      ]);
      return BigInt(`0x${line.split("\t")[1]}`) & (sysAdmin | netAdmin);
    };
    expect(await held("self", "--privileged")).toBe(sysAdmin | netAdmin);
    expect([await held("self"), await held("1")]).toEqual([0n, 0n]);
  });

  it("a terminal, with run and with exec", async () => {
    expect((await once(sh("test -t 0 && test -t 1 && echo terminal"), ["-t"])).stdout.trim()).toBe(
      "terminal",
    );
    const container = await running();
    const { stdout } = await engine.call(["exec", "-t", container, ...sh("test -t 1 && echo terminal")]);
    expect(stdout.trim()).toBe("terminal");
  });

  it("stop asks and waits, then kills; start begins again; logs keep both; rm leaves nothing", async () => {
    const polite = await running(sh("trap 'echo asked; exit 9' TERM; echo up; while :; do sleep 0.05; done"));
    await waitFor("the first line", async () => (await engine.must(["logs", polite])).includes("up"));
    await engine.must(["stop", "-t", "10", polite]);
    expect(await inspect(polite, ".State.ExitCode")).toBe("9");
    await engine.must(["start", polite]);
    await waitFor("the second start", async () => (await engine.must(["logs", polite])).endsWith("up"));
    expect((await engine.must(["logs", polite])).split(/\r?\n/)).toEqual(["up", "asked", "up"]);
    await engine.must(["kill", polite]);
    await waitFor("its end", async () => (await inspect(polite, ".State.Status")) === "exited");
    expect(await inspect(polite, ".State.ExitCode")).toBe("137");
    await engine.must(["rm", polite]);

    const stubborn = await running(sh("trap '' TERM; while :; do sleep 0.05; done"));
    await engine.must(["stop", "-t", "1", stubborn]);
    expect(await inspect(stubborn, ".State.ExitCode")).toBe("137");
    await engine.must(["rm", stubborn]);
    expect(await engine.must(["ps", "-a", "--format", "{{.Names}}"])).not.toMatch(/stubborn|polite/);
  });

  it("pause stops it, unpause lets it go on", async () => {
    const container = await running(sh("while :; do echo tick; sleep 0.02; done"));
    await engine.must(["pause", container]);
    expect(await inspect(container, ".State.Status")).toBe("paused");
    const frozen = await engine.must(["logs", container]);
    await engine.must(["unpause", container]);
    expect(await inspect(container, ".State.Status")).toBe("running");
    await waitFor(
      "more output",
      async () => (await engine.must(["logs", container])).length > frozen.length + 50,
    );
  });

  it("limits stand in the cgroup, update changes them, stats and top tell of it", async () => {
    const container = await running(["waiter"], ["-m", "64m", "--pids-limit", "50", "--cpus", "0.5"]);
    const file = async (controller: string, key: string) => {
      const group = (await engine.must(["exec", container, "cat", "/proc/self/cgroup"]))
        .split("\n")
        .find((line) => line.split(":")[1]?.split(",").includes(controller));
      return engine
        .must(["exec", container, "cat", `/sys/fs/cgroup/${controller}/${key}`])
        .catch((error: unknown) => {
          throw new Error(`${controller}/${key} of ${group}`, { cause: error });
        });
    };
    expect(Number(await file("memory", "memory.limit_in_bytes"))).toBe(64 * mib);
    expect(await file("pids", "pids.max")).toBe("50");
    expect(
      Number(await file("cpu", "cpu.cfs_quota_us")) / Number(await file("cpu", "cpu.cfs_period_us")),
    ).toBe(0.5);
    const stats = await engine.must(["stats", "--no-stream", "--format", "{{.MemUsage}}", container]);
    expect(stats).toMatch(/\/ (64MiB|67\.11MB)/);
    expect(await engine.must(["top", container])).toContain("waiter");
    if (name === "docker") {
      await engine.must(["update", "-m", "96m", "--memory-swap", "-1", container]);
      expect(Number(await file("memory", "memory.limit_in_bytes"))).toBe(96 * mib);
    }
  });

  it("a container that needs more memory than it may have is OOM-killed, and told so", async () => {
    const container = await running(sh("dd if=/dev/zero of=/dev/null bs=200M"), [
      "-m",
      "16m",
      "--memory-swap",
      "16m",
    ]);
    await waitFor("its end", async () => (await inspect(container, ".State.Status")) === "exited");
    expect(await inspect(container, ".State.ExitCode")).toBe("137");
    // conmon of Debian's podman does not see it on cgroup v1, with runc as little.
    if (name === "docker") expect(await inspect(container, ".State.OOMKilled")).toBe("true");
  });

  it("users, capabilities, read-only root, tmpfs, volumes, sysctls, host names", async () => {
    const { stdout, stderr } = await once(
      sh(
        [
          "id -u",
          "grep CapEff /proc/self/status | cut -f2",
          "touch /nope 2>&1 | grep -c Read-only",
          "echo x > /scratch/f && cat /scratch/f",
          "cat /given | wc -l",
          "(echo y >/given) 2>&1 | grep -c Read-only",
          "cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
          "hostname",
        ].join("; "),
      ),
      [
        ...["--user", "1000", "--cap-drop", "ALL", "--read-only", "--tmpfs", "/scratch:mode=1777"],
        ...["-v", "/etc/hostname:/given:ro"],
        ...["--sysctl", "net.ipv4.ip_unprivileged_port_start=0", "--hostname", "box"],
      ],
    );
    expect(stdout.split("\n"), stderr).toEqual([
      "1000",
      "0000000000000000",
      "1",
      "x",
      "1",
      "1",
      "0",
      "box",
      "",
    ]);
  });

  it("a restart policy starts it again as often as it says", async () => {
    const container = await running(sh("echo try; exit 4"), ["--restart", "on-failure:2"]);
    await waitFor("three tries", async () => (await engine.must(["logs", container])) === "try\ntry\ntry", {
      timeoutMs: 30_000,
    });
    await waitFor("its end", async () => (await inspect(container, ".State.Status")) === "exited");
    expect(await inspect(container, ".State.ExitCode")).toBe("4");
    expect(await inspect(container, ".RestartCount")).toBe("2");
  });

  it("a health check is run in the container", async () => {
    const container = await running(
      ["waiter"],
      [
        ...["--health-cmd", "test -e /tmp/well", "--health-retries", "1"],
        // podman's are started by systemd's timers, here by hand.
        ...["--health-interval", name === "docker" ? "200ms" : "disable"],
      ],
    );
    const health = async () =>
      name === "docker"
        ? await inspect(container, ".State.Health.Status")
        : (await engine.call(["healthcheck", "run", container])).code === 0
          ? "healthy"
          : "unhealthy";
    await waitFor("unhealthy", async () => (await health()) === "unhealthy");
    await engine.must(["exec", container, "touch", "/tmp/well"]);
    await waitFor("healthy", async () => (await health()) === "healthy");
  });
});
