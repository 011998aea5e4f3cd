/** Who may use a stream. Rows S1 to S3 of the security bar, on a daemon with every option left alone. */
import { execFileSync } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { container, runPod, startContainer } from "../../support/pods.ts";
import { soak } from "../../support/scale.ts";
import { openStreams, RawConnection, spdy, upgradeLines } from "../../support/stream-clients.ts";
import { useNode } from "../../support/use-node.ts";

const node = useNode();

async function started() {
  const { daemon, image } = node();
  const sandbox = await runPod(daemon);
  const containerId = await startContainer(daemon, sandbox, container(image));
  const url = async () => (await daemon.client.exec({ containerId, cmd: ["/bin/true"], stdout: true })).url;
  return { daemon, sandbox, url };
}

/** The answer to an upgrade, without what differs by the time of day. */
async function answer(url: string, o: Parameters<typeof upgradeLines>[2] = {}): Promise<string> {
  using connection = new RawConnection(url);
  const head = await connection.request(upgradeLines(url, "spdy", o));
  return head.replace(/^Date: .*\r\n/m, "");
}

describe("a daemon", () => {
  it("listens on loopback and its socket alone", async () => {
    const { daemon, url } = await started();
    await url();
    const own = execFileSync("ss", ["-Hlntup"], { encoding: "utf8" })
      .split("\n")
      .filter((line) => line.includes(`pid=${daemon.pid},`))
      .map((line) => line.split(/\s+/)[4]);
    expect(own).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+$/)]);
  });
});

describe("a token", () => {
  it("is random, and in no log", async () => {
    const { daemon, url } = await started();
    const urls = new Set<string>();
    for (let i = 0; i < 100; i++) urls.add(await url());
    expect(urls.size).toBe(100);
    for (const each of urls) {
      expect(each).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/exec\/[A-Za-z0-9_-]{22}$/);
      expect(daemon.log()).not.toContain(each.split("/").at(-1));
    }
  });

  it("that was used, never was, is for something else, or outlived a daemon looks the same", async () => {
    const { daemon, url } = await started();
    const used = await url();
    using session = await spdy(used);
    await openStreams(session, "error", "stdout");
    await session.connection.closed;
    const unknown = used.replace(/[^/]+$/, "A".repeat(22));
    const refused = await answer(unknown);
    expect(refused).toMatch(/^HTTP\/1\.1 404 /);
    expect(await answer(used)).toBe(refused);
    expect(await answer((await url()).replace("/exec/", "/attach/"))).toBe(refused);
    const old = await url();
    await daemon.restart();
    const { port } = new URL(await url());
    expect(await answer(old.replace(/:\d+\//, `:${port}/`))).toBe(refused);
  });

  it("expires after a minute", async (context) => {
    if (!soak) context.skip("takes a minute: hack/soak");
    const { url } = await started();
    const old = await url();
    await delay(61_000);
    expect(await answer(old)).toMatch(/^HTTP\/1\.1 404 /);
  });

  it("shown by the wrong method, or by a page of a browser, opens nothing", async () => {
    const { url } = await started();
    expect(await answer(await url(), { method: "PUT" })).toMatch(/^HTTP\/1\.1 (400|404|405) /);
    const rebound = await url();
    const port = new URL(rebound).port;
    expect(await answer(rebound, { host: `rebound.example:${port}` })).toMatch(/^HTTP\/1\.1 403 /);
    expect(await answer(await url(), { headers: ["Origin: http://page.example"] })).toMatch(
      /^HTTP\/1\.1 403 /,
    );
  });
});
