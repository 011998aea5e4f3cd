/** Streams where the daemon listens elsewhere than on loopback, or was given a certificate: by TLS, for every client. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect as connectPlain } from "node:net";
import { join } from "node:path";
import { connect, type ConnectionOptions, type PeerCertificate, type SecureVersion } from "node:tls";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { ask, CrictlSession } from "../../support/crictl-session.ts";
import { kobako, type TestDaemon, testDaemon } from "../../support/daemon.ts";
import { container, exec, hostNetwork, pod, runPod, startContainer } from "../../support/pods.ts";
import { upgradeLines } from "../../support/stream-clients.ts";
import { type TempDir, tempDir } from "../../support/temp-dir.ts";
import { useNode } from "../../support/use-node.ts";
import { waitFor } from "../../support/wait.ts";

const node = useNode();

/** An authority, and a certificate of it for 127.0.0.1 and node.example. */
async function authority(): Promise<TempDir & { file: (name: string) => string }> {
  const folder = await tempDir("tls");
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder.path, stdio: "pipe" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const ca = ["-subj", "/CN=authority", "-addext", "keyUsage=keyCertSign"];
  openssl("req", "-x509", ...key, "-days", "2", ...ca, "-keyout", "ca.key", "-out", "ca.pem");
  const names = "subjectAltName=IP:127.0.0.1,DNS:node.example";
  const by = ["-CA", "ca.pem", "-CAkey", "ca.key"];
  openssl(
    "req",
    "-x509",
    ...key,
    "-days",
    "2",
    ...by,
    "-subj",
    "/CN=node",
    "-addext",
    names,
    "-keyout",
    "node.key",
    "-out",
    "node.pem",
  );
  return {
    path: folder.path,
    file: (name) => join(folder.path, name),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/** A daemon of its own with a container in the host's network. */
async function started(config: string) {
  await using undo = new AsyncDisposableStack();
  const daemon = undo.use(await testDaemon({ config, network: "none" }));
  const { image } = node();
  await daemon.client.pullImage({ image: { image } });
  const sandbox = await runPod(daemon, pod(daemon, { linux: hostNetwork }));
  const id = await startContainer(daemon, sandbox, container(image));
  const owned = undo.move();
  const url = async () =>
    (await daemon.client.exec({ containerId: id, cmd: ["/bin/echo", "hi"], stdout: true })).url;
  return { daemon, sandbox, id, url, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The answer to an upgrade, or the error that TLS ends in, and the certificate that was shown. */
async function answer(url: string, o: ConnectionOptions): Promise<{ head: string; peer: PeerCertificate }> {
  const { port, hostname } = new URL(url);
  const socket = connect({ port: Number(port), host: hostname, ...o });
  try {
    await once(socket, "secureConnect");
    const peer = socket.getPeerCertificate();
    socket.write(`${upgradeLines(url, "spdy").join("\r\n")}\r\n\r\n`);
    const [bytes] = (await once(socket, "data")) as [Buffer];
    return { head: bytes.toString(), peer };
  } finally {
    socket.destroy();
  }
}

const selfMade = '[streaming]\naddress = "0.0.0.0"\nadvertised = "127.0.0.1"\n';

describe("a certificate that was given", () => {
  it("is shown, on loopback too, and holds before a client that knows its authority", async () => {
    await using files = await authority();
    const given = `[streaming]\ncert = "${files.file("node.pem")}"\nkey = "${files.file("node.key")}"\n`;
    await using at = await started(given);
    const ca = readFileSync(files.file("ca.pem"));
    const url = await at.url();
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/exec\//);
    expect((await answer(url, { ca })).head).toMatch(/^HTTP\/1\.1 101 /);
    await expect(answer(await at.url(), {})).rejects.toThrow(/certificate/);
    await expect(answer(await at.url(), { ca, servername: "else.example" })).rejects.toThrow(/altnames/);
    expect((await answer(await at.url(), { ca, servername: "node.example" })).head).toMatch(
      /^HTTP\/1\.1 101 /,
    );
  });

  it("serves a crictl that checks it, by both transports", async () => {
    await using files = await authority();
    const given = `[streaming]\ncert = "${files.file("node.pem")}"\nkey = "${files.file("node.key")}"\n`;
    await using at = await started(given);
    // crictl wants a certificate of the client's, too; nobody asks for it.
    const client = [
      "--tls-sni",
      "node.example",
      "--tls-cert",
      files.file("node.pem"),
      "--tls-key",
      files.file("node.key"),
    ];
    for (const transport of ["spdy", "websocket"])
      for (const [ca, code, out] of [
        ["ca.pem", 0, "checked\n"],
        ["other.pem", 1, ""],
      ] as const) {
        if (ca === "other.pem")
          execFileSync(
            "openssl",
            [
              "req",
              "-x509",
              "-newkey",
              "ec",
              "-pkeyopt",
              "ec_paramgen_curve:P-256",
              "-nodes",
              "-subj",
              "/CN=other",
              "-keyout",
              files.file("other.key"),
              "-out",
              files.file("other.pem"),
            ],
            { stdio: "pipe" },
          );
        const args = [
          "exec",
          "--transport",
          transport,
          "--tls-ca",
          files.file(ca),
          ...client,
          at.id,
          "echo",
          "checked",
        ];
        using session = await CrictlSession.start(at.daemon.socket, args);
        const ended = await session.ended;
        expect([transport, ca, ended, session.stdout], session.stderr).toEqual([transport, ca, code, out]);
      }
  });

  it.each([
    [
      "of one that is missing",
      (file: (name: string) => string) => [file("none.pem"), file("node.key")],
      /none\.pem/,
    ],
    ["without its key", (file: (name: string) => string) => [file("node.pem"), ""], /go together/],
    [
      "with the key of another",
      (file: (name: string) => string) => [file("node.pem"), file("ca.key")],
      /key values mismatch|KEY_VALUES_MISMATCH/,
    ],
    [
      "that is none",
      (file: (name: string) => string) => [file("ca.key"), file("ca.key")],
      /PEM|no start line|NO_START_LINE/,
    ],
  ])("keeps a daemon from its start: the path %s is told", async (_, paths, message) => {
    await using files = await authority();
    const [cert = "", key = ""] = paths(files.file);
    await expect(testDaemon({ config: `[streaming]\ncert = "${cert}"\nkey = "${key}"\n` })).rejects.toThrow(
      message,
    );
  });
});

describe("a certificate of the daemon's own making", () => {
  it("is there without a word elsewhere than on loopback, for the advertised host", async () => {
    await using at = await started(selfMade);
    const url = await at.url();
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/exec\//);
    const { head, peer } = await answer(url, { rejectUnauthorized: false });
    expect(head).toMatch(/^HTTP\/1\.1 101 /);
    expect(peer.subjectaltname).toContain("IP Address:127.0.0.1");
    // Who keeps it can check it: it is signed by itself.
    const pem = `-----BEGIN CERTIFICATE-----\n${peer.raw.toString("base64")}\n-----END CERTIFICATE-----\n`;
    expect((await answer(await at.url(), { ca: pem })).head).toMatch(/^HTTP\/1\.1 101 /);
    const other = await started(selfMade);
    await using _ = other;
    const seen = await answer(await other.url(), { rejectUnauthorized: false });
    expect(seen.peer.fingerprint256).not.toBe(peer.fingerprint256);
  });

  it("nothing is served in the clear, or by a TLS that is broken", async () => {
    await using at = await started(selfMade);
    const url = await at.url();
    const plain = connectPlain({ port: Number(new URL(url).port), host: "127.0.0.1" });
    plain.on("error", () => {});
    let said = "";
    plain.on("data", (bytes: Buffer) => {
      said += bytes.toString("latin1");
    });
    plain.write(`${upgradeLines(url, "spdy").join("\r\n")}\r\n\r\n`);
    await once(plain, "close");
    expect(said).not.toContain("HTTP/1.1 101");
    for (const version of ["TLSv1", "TLSv1.1"] satisfies SecureVersion[]) {
      const old = {
        rejectUnauthorized: false,
        minVersion: version,
        maxVersion: version,
        ciphers: "ALL:@SECLEVEL=0",
      };
      await expect(answer(url, old)).rejects.toThrow();
    }
    expect((await answer(url, { rejectUnauthorized: false, maxVersion: "TLSv1.2" })).head).toMatch(/ 101 /);
  });

  it("serves crictl and kobako as on loopback: exec, attach, port-forward", async () => {
    await using at = await started(selfMade);
    const { daemon, sandbox, id } = at;
    for (const transport of ["spdy", "websocket"] as const) {
      using session = await CrictlSession.start(daemon.socket, [
        "exec",
        "--transport",
        transport,
        "-i",
        id,
        "wc",
        "-c",
      ]);
      session.child.stdin.end("x".repeat(5_000_000));
      expect([await session.ended, session.stdout]).toEqual([0, "5000000\n"]);
      const port = String(new URL(await at.url()).port);
      using forward = await CrictlSession.start(daemon.socket, [
        "port-forward",
        "--transport",
        transport,
        sandbox.id,
        `0:${port}`,
      ]);
      const local = await waitFor("the local port", () => /127\.0\.0\.1:(\d+) ->/.exec(forward.stdout)?.[1]);
      // The pod has the host's network: what listens there is the daemon itself, which speaks TLS.
      expect(await ask(Number(local), "GET / HTTP/1.0\r\n\r\n")).not.toContain("HTTP/1.1 101");
    }
    const own = (args: readonly string[]) => runKobako(daemon, args);
    expect(own(["exec", id, "sh", "-c", "echo out; exit 7"])).toEqual([7, "out\n"]);
    expect((await exec(daemon, id, "true")).exitCode).toBe(0);
  });
});

function runKobako(daemon: TestDaemon, args: readonly string[]): [number, string] {
  try {
    const env = { ...process.env, KOBAKO_ADDRESS: `unix://${daemon.socket}` };
    return [0, execFileSync(kobako, [...args], { env, stdio: ["ignore", "pipe", "inherit"] }).toString()];
  } catch (error) {
    const { status, stdout } = error as { status: number; stdout: Buffer };
    return [status, stdout.toString()];
  }
}
