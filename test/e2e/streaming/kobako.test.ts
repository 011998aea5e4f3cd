/** exec, attach and port-forward as a person with the kobako command uses them. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, readlink, rename, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { kobako } from "../../support/daemon.ts";
import { inTime } from "../../support/monitor.ts";
import { container, exec, logFile, runPod, startContainer } from "../../support/pods.ts";
import { within } from "../../support/slowness.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { useNode } from "../../support/use-node.ts";
import { waitFor } from "../../support/wait.ts";

const node = useNode();
const sh = (script: string): string[] => ["/bin/sh", "-c", script];

/** The command under way. */
class Session implements Disposable {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<number>;
  stdout = "";
  stderr = "";

  /** With `terminal` it has one of 99 columns and 33 rows, by script(1), whose path is said first. */
  constructor(args: readonly string[], o: { terminal?: boolean } = {}) {
    const env = { ...process.env, KOBAKO_ADDRESS: `unix://${node().daemon.socket}` };
    const quoted = [kobako, ...args].map((part) => `'${part.replaceAll("'", "'\\''")}'`).join(" ");
    const limit = { env, timeout: within(60_000), killSignal: "SIGKILL" } as const;
    this.child =
      o.terminal === true
        ? spawn(
            "script",
            ["-qec", `tty; stty cols 99 rows 33; ${quoted}; echo "code $?"; stty -a`, "/dev/null"],
            limit,
          )
        : spawn(kobako, [...args], limit);
    this.child.stdin.on("error", () => {});
    this.child.stdout.on("data", (bytes: Buffer) => {
      this.stdout += bytes.toString();
    });
    this.child.stderr.on("data", (bytes: Buffer) => {
      this.stderr += bytes.toString();
    });
    this.ended = once(this.child, "close").then(([code]) => (code as number | null) ?? 128);
  }

  async says(what: string | RegExp): Promise<void> {
    const said = () => (typeof what === "string" ? this.stdout.includes(what) : what.test(this.stdout));
    await waitFor(`${what} of kobako, not ${this.stdout}${this.stderr}`, said, { timeoutMs: 20_000 });
  }

  type(input: string): void {
    this.child.stdin.write(input);
  }

  [Symbol.dispose](): void {
    this.child.kill("SIGKILL");
  }
}

async function kobakoEnds(args: readonly string[], input?: string) {
  using session = new Session(args);
  session.child.stdin.end(input ?? "");
  const code = await session.ended;
  return { code, stdout: session.stdout, stderr: session.stderr };
}

async function started(more: Parameters<typeof container>[1] = {}) {
  const { daemon, image } = node();
  const sandbox = await runPod(daemon);
  return { daemon, sandbox, id: await startContainer(daemon, sandbox, container(image, more)) };
}

const parrot = sh('while read -r line; do echo "you said $line"; [ "$line" = end ] && exit 5; done; exit 6');

describe("kobako exec", () => {
  it("brings output as it comes, errors, and the exit code", async () => {
    const { id } = await started();
    expect(await kobakoEnds(["exec", id, ...sh("echo out; echo err >&2; exit 3")])).toEqual({
      code: 3,
      stdout: "out\n",
      stderr: "err\n",
    });
    using session = new Session(["exec", id, ...sh("echo first; sleep 1000")]);
    await session.says("first\n");
  });

  it("tells its own failures from the command's by 125", async () => {
    const { id } = await started();
    const { code, stderr } = await kobakoEnds(["exec", id, "/nonexistent"]);
    expect([code, stderr]).toEqual([125, expect.stringContaining("/nonexistent")]);
    expect((await kobakoEnds(["exec", "--timeout", "1", id, "sleep", "100"])).code).toBe(125);
    expect((await kobakoEnds(["exec", "--timeout", "9", id, ...sh("exit 4")])).code).toBe(4);
  });

  it("-i gives it input to its end", async () => {
    const { id } = await started();
    expect(await kobakoEnds(["exec", "-i", id, ...sh("wc -c; echo over")], "x".repeat(3_000_000))).toEqual({
      code: 0,
      stdout: "3000000\nover\n",
      stderr: "",
    });
    // Without -i it has none.
    expect((await kobakoEnds(["exec", id, "cat"], "not me")).stdout).toBe("");
  });

  it("-it is a terminal of the same size, keys go through as they are, and the exit code comes back", async () => {
    const { id } = await started();
    using session = new Session(["exec", "-it", id, "/bin/sh"], { terminal: true });
    session.type("stty size; echo marker-$((40+2))\r");
    await session.says(/33 99\r/);
    await session.says("marker-42");
    // An interrupt is the shell's, not ours.
    session.type("echo begin; sleep 1000\r");
    await session.says(/\nbegin\r/);
    session.type("\u0003");
    await session.says(/\^C/);
    session.type("echo alive-$((6*7)); exit 9\r");
    await session.says("alive-42");
    await session.says("code 9");
    expect(await session.ended).toBe(0);
    // The terminal is as it was.
    expect(session.stdout).toMatch(/ echo /);
  });

  it("-it tells the command of each new size of the terminal", async () => {
    const { id } = await started();
    const script =
      'trap \'stty size; [ "$(stty size)" = "44 111" ] && exit 7\' WINCH; echo ready; while :; do sleep 0.1; done';
    using session = new Session(["exec", "-it", id, ...sh(script)], { terminal: true });
    await session.says("ready");
    const [terminal = ""] = /\/dev\/pts\/\d+/.exec(session.stdout) ?? [];
    const resize = (columns: number, rows: number) =>
      execFileSync("stty", ["-F", terminal, "cols", `${columns}`, "rows", `${rows}`]);
    resize(70, 20);
    await session.says("20 70");
    resize(111, 44);
    await session.says("44 111");
    await session.says("code 7");
  });

  it("-it is left by ctrl-p ctrl-q, which ends the command", async () => {
    const { id } = await started();
    using session = new Session(["exec", "-it", id, ...sh("echo here; exec sleep 4242")], { terminal: true });
    await session.says("here");
    session.type("\u0010\u0011");
    await session.says("code 0");
    expect(session.stdout).toContain("left: the command was ended");
    await waitFor("the command to end", async () => {
      const { stdout } = await kobakoEnds(["exec", id, "ps"]);
      return !stdout.includes("sleep 4242");
    });
  });
});

describe.each([
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const)("%s", (signal, code) => {
  it("ends kobako exec, and the command with it, and is told from its success by the exit code", async () => {
    const { id } = await started();
    using session = new Session(["exec", id, ...sh("echo here; exec sleep 4243")]);
    await session.says("here");
    session.child.kill(signal);
    expect(await inTime("its end", session.ended)).toBe(code);
    expect(session.stderr).toContain("left: the command was ended");
    await waitFor("the command to end", async () => {
      const { stdout } = await kobakoEnds(["exec", id, "ps"]);
      return !stdout.includes("sleep 4243");
    });
  });

  it("ends kobako attach, not the container, with the same exit code", async () => {
    const { id } = await started({ command: parrot, stdin: true });
    using session = new Session(["attach", "-i", id]);
    session.type("hello\n");
    await session.says("you said hello");
    session.child.kill(signal);
    expect(await inTime("its end", session.ended)).toBe(code);
    expect(session.stderr).toContain("left: the container goes on");
    expect((await kobakoEnds(["exec", id, "true"])).code).toBe(0);
  });
});

describe("kobako attach", () => {
  it("-i writes to the container, shows its answers, and ends with its exit code", async () => {
    const { id } = await started({ command: parrot, stdin: true });
    using watching = new Session(["attach", id]);
    using session = new Session(["attach", "-i", id]);
    await waitFor(
      "an answer to both",
      () => {
        session.type("hello\n");
        return [session, watching].every(({ stdout }) => stdout.includes("you said hello\n"));
      },
      { intervalMs: 200 },
    );
    session.type("end\n");
    expect(await session.ended).toBe(5);
    expect(await watching.ended).toBe(5);
    expect(watching.stdout).toContain("you said end\n");
    const again = await kobakoEnds(["attach", id]);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("does not run")]);
  });

  it("-it is left by ctrl-p ctrl-q, and the container goes on for the next", async () => {
    const { id } = await started({ command: parrot, stdin: true, tty: true });
    for (const word of ["one", "two"]) {
      using session = new Session(["attach", "-it", id], { terminal: true });
      await waitFor(
        "an answer",
        () => {
          session.type(`${word}\r`);
          return session.stdout.includes(`you said ${word}`);
        },
        { intervalMs: 200 },
      );
      session.type("\u0010\u0011");
      await session.says("code 0");
      expect(session.stdout).toContain("left: the container goes on");
    }
  });
});

describe("kobako cp", () => {
  it("copies folders out and in, between containers too, whatever the image has", async () => {
    const { id } = await started({
      command: sh(
        "mkdir -p /data/sub; echo one > /data/one; ln -s /etc/passwd /data/sub/up; mkfifo /data/pipe; sleep 1000",
      ),
    });
    const other = await started();
    await using folder = await tempDir("cp");
    await waitFor("the data", async () => (await kobakoEnds(["exec", id, "ls", "/data/pipe"])).code === 0);
    expect(await kobakoEnds(["cp", `${id}:/data`, folder.path])).toEqual({
      code: 0,
      stdout: "",
      stderr: 'left out: "/data/pipe" is neither a file, a folder nor a link\n',
    });
    expect(await readFile(join(folder.path, "data/one"), "utf8")).toBe("one\n");
    expect(await readlink(join(folder.path, "data/sub/up"))).toBe("/etc/passwd");
    await writeFile(join(folder.path, "data/two"), Buffer.alloc(3_000_000, "2"));
    expect((await kobakoEnds(["cp", `${join(folder.path, "data")}/.`, `${id}:/tmp/back`])).code).toBe(0);
    expect(
      (
        await kobakoEnds([
          "exec",
          id,
          ...sh("cat /tmp/back/one; wc -c < /tmp/back/two; stat -c '%u %a' /tmp/back/two"),
        ])
      ).stdout,
    ).toBe("one\n3000000\n0 644\n");
    expect((await kobakoEnds(["cp", `${id}:/tmp/back/one`, `${other.id}:/tmp/from-another`])).code).toBe(0);
    expect((await kobakoEnds(["exec", other.id, "cat", "/tmp/from-another"])).stdout).toBe("one\n");
  });

  it("follows no link out of the container, in either direction", async () => {
    await using folder = await tempDir("cp");
    const secret = join(folder.path, "secret");
    await writeFile(secret, "secret");
    const { id } = await started({
      command: sh(
        `mkdir -p /tmp/trap; ln -s ${secret} /tmp/link; ln -s ../../../../../../..${folder.path} /tmp/trap/out; ln -s /proc/1/root${secret} /tmp/magic; sleep 1000`,
      ),
    });
    await waitFor(
      "the links",
      async () => (await kobakoEnds(["exec", id, "readlink", "/tmp/magic"])).code === 0,
    );
    for (const path of ["/tmp/link", "/tmp/trap/out/secret", "/tmp/magic", `/../../..${secret}`]) {
      const { code, stderr } = await kobakoEnds(["cp", `${id}:${path}`, join(folder.path, "got")]);
      expect([path, code, stderr]).toEqual([
        path,
        1,
        expect.stringMatching(/No such file|Symbolic link loop/),
      ]);
    }
    await writeFile(join(folder.path, "mine"), "mine");
    const { code } = await kobakoEnds(["cp", join(folder.path, "mine"), `${id}:/tmp/trap/out/secret`]);
    expect(code).toBe(1);
    expect((await readdir(folder.path)).sort()).toEqual(["mine", "secret"]);
    expect(await readFile(secret, "utf8")).toBe("secret");
    expect((await kobakoEnds(["cp", "/a", "/b"])).code).toBe(2);
    expect((await kobakoEnds(["cp", "nobody:/a", folder.path])).code).toBe(1);
  });
});

describe("kobako logs", () => {
  it("of several containers, or of a pod, begins each line with the name, in the order of time", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon);
    const say = (name: string, script: string, attempt = 0) =>
      startContainer(
        daemon,
        sandbox,
        container(image, {
          metadata: { name, attempt },
          logPath: `${name}_${attempt}.log`,
          command: sh(script),
        }),
      );
    const one = await say("one", "printf first; sleep 0.3; echo; echo trouble >&2; exit 0");
    await waitFor("its end", async () => (await kobakoEnds(["logs", one])).stderr === "trouble\n");
    const two = await say("two", "echo second");
    await waitFor("its line", async () => (await kobakoEnds(["logs", two])).stdout === "second\n");
    expect(await kobakoEnds(["logs", two, one])).toEqual({
      code: 0,
      stdout: "[one] first\n[two] second\n",
      stderr: "[one] trouble\n",
    });
    expect((await kobakoEnds(["logs", "-f", "--pod", sandbox.id, "-t"])).stdout).toMatch(
      /^\[one\] 2\S+Z first\n\[two\] 2\S+Z second\n$|^\[two\] 2\S+Z second\n\[one\] 2\S+Z first\n$/,
    );
    const again = await say("one", "echo third; sleep 1000", 1);
    await waitFor("its line", async () => (await kobakoEnds(["logs", again])).stdout === "third\n");
    expect((await kobakoEnds(["logs", "--previous", again])).stdout).toBe("first\n");
    expect((await kobakoEnds(["logs", "--tail", "1", "--pod", sandbox.id])).stdout).toBe(
      "[two] second\n[one] third\n",
    );
    const none = await kobakoEnds(["logs", "--previous", two]);
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining("two has no previous attempt")]);
    expect((await kobakoEnds(["logs"])).code).toBe(2);
    expect((await kobakoEnds(["logs", one, "--pod", sandbox.id])).code).toBe(2);
  });
});

describe("kobako logs of one container", () => {
  it("--since leaves older lines out, by a time and by a duration; -t shows the stamps that it went by", async () => {
    const { daemon, id } = await started({
      command: sh("echo old; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo new; sleep 1000"),
    });
    await waitFor("the first line", async () => (await kobakoEnds(["logs", id])).stdout === "old\n");
    const [stamp = ""] = (await kobakoEnds(["logs", "-t", id])).stdout.split(" ");
    expect((await exec(daemon, id, "touch /tmp/go")).exitCode).toBe(0);
    await waitFor("the second line", async () => (await kobakoEnds(["logs", id])).stdout === "old\nnew\n");
    const after = new Date(Date.parse(stamp) + 1).toISOString();
    expect((await kobakoEnds(["logs", "--since", after, id])).stdout).toBe("new\n");
    expect((await kobakoEnds(["logs", "--since", "1h30m", id])).stdout).toBe("old\nnew\n");
    expect((await kobakoEnds(["logs", "--since", "yesterday", id])).code).toBe(2);
  });

  it("-f follows over rotations and a restart of the daemon, without a line lost or twice, to the container's end", async () => {
    const { daemon, sandbox, id } = await started({
      metadata: { name: "main", attempt: 0 },
      logPath: "main.log",
      command: sh("i=0; while [ ! -e /tmp/go ]; do i=$((i+1)); echo line $i; sleep 0.01; done; echo last"),
    });
    using session = new Session(["logs", "-f", id]);
    await session.says("line 10\n");
    const log = logFile(sandbox, "main");
    for (let round = 0; round < 3; round++) {
      await rename(log, `${log}.${round}`);
      await daemon.client.reopenContainerLog({ containerId: id });
      const seen = session.stdout.split("\n").length;
      await session.says(`line ${seen + 20}\n`);
      if (round === 1) await daemon.restart();
    }
    await exec(daemon, id, "touch /tmp/go");
    expect(await inTime("its end", session.ended)).toBe(0);
    const lines = session.stdout.trimEnd().split("\n");
    expect(lines.at(-1)).toBe("last");
    expect(lines.slice(0, -1)).toEqual(lines.slice(0, -1).map((_, i) => `line ${i + 1}`));
  });
});

describe("kobako port-forward", () => {
  it("reaches the pod's loopback, with half-closed connections, and says what can't be reached", async () => {
    const { sandbox, id } = await started({
      command: sh("echo 'wc -c; echo bye' > /tmp/s; exec nc -ll -p 8080 -e sh /tmp/s"),
    });
    await waitFor("the server", async () =>
      (await kobakoEnds(["exec", id, "netstat", "-lnt"])).stdout.includes(":8080"),
    );
    using session = new Session(["port-forward", sandbox.id, ":8080", ":81"]);
    await session.says(/-> 8080\n.*-> 81\n/s);
    const [served = 0, refused = 0] = [...session.stdout.matchAll(/127\.0\.0\.1:(\d+) ->/g)].map(([, port]) =>
      Number(port),
    );
    const socket = connect({ port: served, host: "127.0.0.1", allowHalfOpen: true });
    socket.end("x".repeat(1_000_000));
    expect(await inTime("the answer", text(socket))).toBe("1000000\nbye\n");
    const nobody = connect({ port: refused, host: "127.0.0.1" }).resume();
    nobody.on("error", () => {}); // a reset: what is not there is not an empty answer
    await inTime("the end", once(nobody, "close"));
    await waitFor("the reason", () => /port 81.*[Cc]onnection refused/.test(session.stderr));
    session.child.kill("SIGINT");
    expect(await inTime("its end", session.ended)).toBe(0);
  });
});
