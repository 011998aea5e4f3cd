/** Who gets a stream: tokens, hosts, origins, methods, and what floods may do. Rows S1 to S3 of the security bar. */
import { execFileSync } from "node:child_process";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitFor } from "../../support/wait.ts";
import { openStreams, RawConnection, spdy, upgradeLines } from "../../support/stream-clients.ts";
import { Scripted } from "./processes.ts";
import { type Serving, serving } from "./serve.ts";

let server: Serving;
beforeAll(async () => {
  server = await serving({ limits: { requestMs: 1000, setupMs: 500, pending: 8 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const streams = { stdin: false, stdout: true, stderr: false, tty: false };
const url = () => server.streaming.exec({ ...streams, containerId: "c", open: async () => new Scripted() });

async function status(target: string, lines: readonly string[]): Promise<string> {
  using connection = new RawConnection(target);
  const head = await connection.request(lines);
  expect(head).not.toMatch(/^location:/im);
  return head.split(" ", 2)[1] ?? head;
}

describe("the URL of a stream", () => {
  it("is on loopback, names a random token and nothing a user wrote", () => {
    expect(url()).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/exec\/[A-Za-z0-9_-]{22}$/);
    const { port } = new URL(server.streaming.origin);
    const listeners = execFileSync("ss", ["-Hltn", `sport = :${port}`])
      .toString()
      .trim()
      .split("\n");
    expect(listeners.map((line) => line.split(/\s+/)[3])).toEqual([`127.0.0.1:${port}`]);
  });

  it("is good once; used, unknown and misplaced tokens look the same", async () => {
    const once = url();
    expect(await status(once, upgradeLines(once, "spdy"))).toBe("101");
    const answers = await Promise.all(
      [
        once,
        `${server.streaming.origin}/exec/${"A".repeat(22)}`,
        url().replace("/exec/", "/attach/"),
        `${url()}x`,
      ].map(async (target) => {
        using connection = new RawConnection(target);
        return await connection.request(upgradeLines(target, "spdy"));
      }),
    );
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toMatch(/^HTTP\/1\.1 404 /);
  });

  it("is good for one of two thousand who try at once", async () => {
    const target = url();
    let accepted = 0;
    for (let batch = 0; batch < 250; batch++) {
      const results = await Promise.all(
        Array.from({ length: 8 }, () => status(target, upgradeLines(target, "spdy"))),
      );
      accepted += results.filter((result) => result === "101").length;
      for (const result of results) expect(["101", "404"]).toContain(result);
    }
    expect(accepted).toBe(1);
  });

  it("is refused with a query, another case, another path, and in the form for proxies", async () => {
    for (const change of [
      (target: string) => `${target}?stdin=true`,
      (target: string) => target.replace("/exec/", "/EXEC/"),
      (target: string) => target.replace("/exec/", "/exec/../exec/"),
      (target: string) => target.replace("/exec/", "//exec/"),
    ]) {
      const target = url();
      const { origin } = new URL(target);
      const [, ...rest] = upgradeLines(target, "spdy");
      expect(await status(target, [`POST ${change(target).slice(origin.length)} HTTP/1.1`, ...rest])).toBe(
        "404",
      );
      const again = url();
      expect(await status(again, [`POST ${again} HTTP/1.1`, ...upgradeLines(again, "spdy").slice(1)])).toBe(
        "404",
      );
    }
  });

  it("does not appear in the log", async () => {
    const target = url();
    await status(target, upgradeLines(target, "spdy"));
    await status(target, upgradeLines(target, "spdy"));
    expect(server.log()).not.toContain(new URL(target).pathname.split("/")[2]);
  });
});

describe("a request", () => {
  it.each(["evil.example", "evil.example:80x", "a b"])("for Host %s is refused", async (host) => {
    const target = url();
    expect(["400", "403"]).toContain(await status(target, upgradeLines(target, "spdy", { host })));
    // And did not use the token up.
    expect(await status(target, upgradeLines(target, "spdy"))).toBe("101");
  });

  it("with a name for Host and our own port is refused: a page may have been made to look like us", async () => {
    const target = url();
    const { port } = new URL(target);
    expect(await status(target, upgradeLines(target, "websocket", { host: `evil.example:${port}` }))).toBe(
      "403",
    );
  });

  it.each(["http://evil.example", "null", ""])("with Origin '%s' is refused", async (origin) => {
    const target = url();
    const headers = [`Origin: ${origin}`];
    expect(await status(target, upgradeLines(target, "websocket", { headers }))).toBe("403");
    expect(await status(target, upgradeLines(target, "spdy", { headers }))).toBe("403");
  });

  it("that asks for no upgrade, or for another, is refused", async () => {
    const plain = url();
    const { pathname, host } = new URL(plain);
    expect(await status(plain, [`GET ${pathname} HTTP/1.1`, `Host: ${host}`])).toBe("400");
    const h2 = url();
    const lines = upgradeLines(h2, "spdy").map((line) => line.replace("SPDY/3.1", "h2c"));
    expect(await status(h2, lines)).toBe("400");
    const spdy2 = url();
    expect(
      await status(
        spdy2,
        upgradeLines(spdy2, "spdy").map((line) => line.replace("/3.1", "/2")),
      ),
    ).toBe("400");
  });

  it("of the wrong method is refused", async () => {
    const target = url();
    expect(await status(target, upgradeLines(target, "websocket", { method: "POST" }))).toBe("405");
    const other = url();
    expect(await status(other, upgradeLines(other, "spdy", { method: "PUT" }))).toBe("405");
  });

  it("for protocols nobody here speaks is refused, and told which are spoken", async () => {
    using connection = new RawConnection(server.streaming.origin);
    const target = url();
    const head = await connection.request(upgradeLines(target, "spdy", { protocols: ["v9.channel.k8s.io"] }));
    expect(head).toMatch(/^HTTP\/1\.1 403 /);
    expect(head).toContain("X-Accepted-Stream-Protocol-Versions: v4.channel.k8s.io");
    const other = url();
    expect(await status(other, upgradeLines(other, "websocket", { protocols: ["chat"] }))).toBe("400");
    const none = url();
    expect(await status(none, upgradeLines(none, "websocket", { protocols: [] }))).toBe("400");
  });

  it("with a body is refused", async () => {
    const target = url();
    using connection = new RawConnection(target);
    const lines = upgradeLines(target, "spdy", { headers: ["Content-Length: 4"] });
    const head = await connection.request([...lines, "", "body"]);
    expect(head).not.toMatch(/^HTTP\/1\.1 101/);
  });
});

describe("a connection", () => {
  it("that sends no request is closed in a second, and half a request too", async () => {
    using silent = new RawConnection(server.streaming.origin);
    using slow = new RawConnection(server.streaming.origin);
    slow.socket.write("POST /exec/x HTTP/1.1\r\nHost: ");
    const started = performance.now();
    await Promise.all([silent.closed, slow.closed]);
    expect(performance.now() - started).toBeLessThan(8000);
  });

  it("gets through a flood of others that send nothing", async () => {
    const { port } = new URL(server.streaming.origin);
    const flood = Array.from({ length: 200 }, () => connect(Number(port), "127.0.0.1").on("error", () => {}));
    const target = url();
    expect(await status(target, upgradeLines(target, "spdy"))).toBe("101");
    await waitFor("the flood to be thinned", () => flood.filter((socket) => socket.destroyed).length >= 190);
    for (const socket of flood) socket.destroy();
  });

  it("whose streams do not come in time is closed, and its process never begins", async () => {
    let opened = false;
    const target = server.streaming.exec({
      ...streams,
      containerId: "c",
      open: async () => {
        opened = true;
        return new Scripted();
      },
    });
    using half = await spdy(target);
    await openStreams(half, "error");
    await half.connection.closed;
    expect(opened).toBe(false);
  });
});

describe("the open tokens", () => {
  it("are a thousand at most", async () => {
    await using fresh = await serving();
    const issue = () =>
      fresh.streaming.exec({ ...streams, containerId: "c", open: async () => new Scripted() });
    for (let i = 0; i < 1000; i++) issue();
    expect(issue).toThrow(/try again/);
  });
});

describe("a server elsewhere than on loopback", () => {
  it("speaks TLS with a certificate of its own making", async () => {
    // All of 127/8 is loopback for the kernel; this one is not for us, as it is no address but a wildcard.
    await using open = await serving({ address: "0.0.0.0", advertised: "127.0.0.1" });
    const target = open.streaming.exec({ ...streams, containerId: "c", open: async () => new Scripted() });
    expect(target).toMatch(/^https:\/\/127\.0\.0\.1:/);
    const { port, pathname, host } = new URL(target);
    const headers = { Connection: "Upgrade", Upgrade: "SPDY/3.1", Host: host };
    const answer = await new Promise<string | undefined>((resolve, reject) => {
      const request = httpsRequest({
        port,
        host: "127.0.0.1",
        method: "POST",
        path: pathname,
        headers,
        rejectUnauthorized: false,
      });
      request.on("upgrade", (response, socket) => {
        socket.destroy();
        resolve(`${response.statusCode}`);
      });
      request.on("response", (response) => resolve(`${response.statusCode}`));
      request.on("error", reject);
      request.end();
    });
    expect(answer).toBe("101");
    expect(open.streaming.sessions).toBeLessThanOrEqual(1);
  });

  it("needs to be told its name for a wildcard, and takes no names for addresses", async () => {
    await expect(serving({ address: "0.0.0.0" })).rejects.toThrow(/advertised/);
    await expect(serving({ address: "localhost" })).rejects.toThrow(/no IP address/);
    await expect(serving({ address: "203.0.113.1" })).rejects.toMatchObject({ kind: "invalid-argument" });
  });
});
