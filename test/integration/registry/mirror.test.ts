/** Mirrors: asked first, trusted for nothing but content that has the right digest. */
import { describe, expect, it } from "vitest";
import type { RegistryAuth } from "../../../src/registry/client.ts";
import { client, descriptorOf, errorOf, noiseImage, readAll, repositoryOf, soon } from "./client.ts";
import { ScriptedRegistry } from "./scripted-registry.ts";

const user: RegistryAuth = { username: "user", password: "secretword" };

async function pair() {
  const mirror = await ScriptedRegistry.start();
  const origin = await ScriptedRegistry.start();
  const { image, layer } = await noiseImage(1000);
  const ref = origin.add("a/b", "v1", image);
  return {
    mirror,
    origin,
    image,
    layer,
    ref,
    hosts: { [origin.host]: { mirrors: [mirror.url] } },
    async [Symbol.asyncDispose]() {
      await mirror[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
    },
  };
}

/** A whole pull: tag, manifest, config, layer. */
async function pullAll(
  p: Awaited<ReturnType<typeof pair>>,
  auth?: RegistryAuth,
  hosts: Parameters<typeof client>[0] = p.hosts,
) {
  const repository = repositoryOf(client(hosts), p.ref, auth);
  const { digest } = await repository.resolve(soon());
  await repository.manifest(digest, soon());
  await repository.document(descriptorOf(p.image.config), "config", soon());
  expect(await readAll(repository.blob(descriptorOf(p.layer), soon()))).toEqual(Buffer.from(p.layer.bytes));
}

describe("a mirror", () => {
  it("that has the image is asked alone, and told which registry it stands for", async () => {
    await using p = await pair();
    p.mirror.add("a/b", "v1", p.image);
    await pullAll(p);
    expect(p.origin.requests).toEqual([]);
    expect(p.mirror.requests[0]?.url).toBe(`/v2/a/b/manifests/v1?ns=${encodeURIComponent(p.origin.host)}`);
  });

  it("that does not have it is passed over, once", async () => {
    await using p = await pair();
    await pullAll(p);
    expect(p.mirror.requests).toHaveLength(1);
  });

  it("that is not there is passed over", async () => {
    await using p = await pair();
    await p.mirror[Symbol.asyncDispose]();
    p.mirror[Symbol.asyncDispose] = async () => undefined;
    await pullAll(p);
  });

  it("that lies about a manifest is passed over", async () => {
    await using p = await pair();
    p.mirror.add("a/b", "v1", p.image);
    p.mirror.script = ({ method, url }, response) => {
      if (method === "HEAD" || !url.includes("/manifests/")) return false;
      response.end('{"schemaVersion":2}');
      return true;
    };
    await pullAll(p);
    expect(p.origin.seen("/manifests/")).toHaveLength(1);
  });

  it("under a path gets the path", async () => {
    await using p = await pair();
    const hosts = { [p.origin.host]: { mirrors: [`${p.mirror.url}/proxy`, `${p.mirror.url}/v2/hub`] } };
    await pullAll(p, undefined, hosts);
    expect(p.mirror.requests.map(({ url }) => url.replace(/\?.*/, ""))).toEqual([
      "/v2/proxy/a/b/manifests/v1",
      "/v2/hub/a/b/manifests/v1",
    ]);
  });

  it("never gets the credentials of the call, but those of its own host", async () => {
    await using p = await pair();
    const wantsBasic = (registry: ScriptedRegistry) => {
      registry.script = ({ authorization }, response) => {
        if (authorization) return false;
        response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
        return true;
      };
    };
    wantsBasic(p.mirror);
    wantsBasic(p.origin);
    p.mirror.add("a/b", "v1", p.image);
    await pullAll(p, user);
    expect(p.mirror.requests.every(({ authorization }) => authorization === undefined)).toBe(true);
    expect(p.origin.requests.some(({ authorization }) => authorization !== undefined)).toBe(true);

    const own = { username: "mirror", password: "own" };
    await pullAll(p, user, { ...p.hosts, [p.mirror.host]: { auth: own } });
    const sent = new Set(p.mirror.requests.map(({ authorization }) => authorization));
    expect(sent).toEqual(new Set([undefined, `Basic ${Buffer.from("mirror:own").toString("base64")}`]));
  });

  it("and the registry itself both failing are both named", async () => {
    await using p = await pair();
    await p.mirror[Symbol.asyncDispose]();
    p.mirror[Symbol.asyncDispose] = async () => undefined;
    const error = await errorOf(repositoryOf(client(p.hosts), `${p.origin.host}/none:v1`).resolve(soon()));
    expect(error).toMatchObject({ kind: "not-found" });
    expect(error.message).toContain(`registry ${p.mirror.url} is not reachable`);
    expect(error.message).toContain(`is not in registry ${p.origin.url}`);
  });
});
