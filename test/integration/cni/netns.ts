/** Network namespaces, links between them, and small servers in them. All names begin with "kbt". */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { promisify } from "node:util";

const execute = promisify(execFile);
const answerMs = 2000;

export interface Ran {
  readonly code: number;
  readonly out: string;
}

/** Runs a program and gives its exit code and output; only a program that can't be started throws. */
export async function ran(
  file: string,
  args: readonly string[],
  input?: string,
  env?: Record<string, string>,
): Promise<Ran> {
  const child = spawn(file, args, {
    stdio: ["pipe", "pipe", "inherit"],
    env: { PATH: process.env.PATH, ...env },
  });
  child.stdin.on("error", () => {});
  child.stdin.end(input ?? "");
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code: code ?? -1, out };
}

/** As the kernel sees it: a namespace with a name below /run/netns, removed at the end. */
export class Netns implements AsyncDisposable {
  readonly name: string;
  readonly path: string;
  readonly #children: ChildProcess[] = [];

  private constructor(name: string) {
    this.name = name;
    this.path = `/run/netns/${name}`;
  }

  static async make(what: string): Promise<Netns> {
    const netns = new Netns(`kbt${randomBytes(4).toString("hex")}${what}`);
    await execute("ip", ["netns", "add", netns.name]);
    await netns.ip("link", "set", "lo", "up");
    return netns;
  }

  /** Runs `ip` inside. */
  async ip(...args: string[]): Promise<string> {
    return (await execute("ip", ["-n", this.name, ...args])).stdout;
  }

  /** The command that runs `file` inside. */
  inside(file: string, ...args: string[]): [string, string[]] {
    return ["nsenter", [`--net=${this.path}`, "--", file, ...args]];
  }

  run(file: string, ...args: string[]): Promise<Ran> {
    return ran(...this.inside(file, ...args));
  }

  /** A TCP and a UDP server on `port` of both families: each answers `<name> <the client's address>`. */
  async serve(port: number, name: string): Promise<void> {
    const script = `
      const say = (a) => ${JSON.stringify(name)} + " " + a.replace(/^::ffff:/, "");
      require("node:net").createServer((s) => { s.on("error", () => {}); s.end(say(s.remoteAddress ?? "")); })
        .listen(${port}, "::", () => {
          const u = require("node:dgram").createSocket("udp6");
          u.on("message", (_, r) => u.send(say(r.address), r.port, r.address));
          u.bind(${port}, () => console.log("ready"));
        });`;
    const [file, args] = this.inside(process.execPath, "-e", script);
    const child = spawn(file, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#children.push(child);
    await once(child.stdout, "data");
  }

  /** What a server says to this namespace; "closed" when it refuses or does not answer. */
  async ask(protocol: "tcp" | "udp", address: string, port: number): Promise<string> {
    const tcp = `const s = require("node:net").connect(${port}, ${JSON.stringify(address)}); s.on("data", (d) => done(String(d))); s.on("error", () => done("closed"));`;
    const udp = `const s = require("node:dgram").createSocket(${JSON.stringify(address.includes(":") ? "udp6" : "udp4")});
      s.on("message", (d) => done(String(d))); s.on("error", () => done("closed")); s.send("x", ${port}, ${JSON.stringify(address)});`;
    const script = `const done = (t) => { console.log(t); process.exit(0); }; setTimeout(() => done("closed"), ${answerMs}); ${protocol === "tcp" ? tcp : udp}`;
    return (await this.run(process.execPath, "-e", script)).out.trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    }
    await execute("ip", ["netns", "del", this.name]).catch(() => {});
  }
}

/** A cable between two namespaces with addresses on both ends ("10.9.0.1/24"). */
export async function cable(
  a: Netns,
  aLink: string,
  aAddresses: string[],
  b: Netns,
  bLink: string,
  bAddresses: string[],
): Promise<void> {
  await a.ip("link", "add", aLink, "type", "veth", "peer", "name", bLink, "netns", b.name);
  for (const [netns, link, addresses] of [
    [a, aLink, aAddresses],
    [b, bLink, bAddresses],
  ] as const) {
    for (const address of addresses) {
      await netns.ip("addr", "add", address, "dev", link, ...(address.includes(":") ? ["nodad"] : []));
    }
    await netns.ip("link", "set", link, "up");
  }
}
