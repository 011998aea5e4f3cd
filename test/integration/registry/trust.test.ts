/** Where credentials go, and where they do not. */
import { describe, expect, it } from "vitest";
import type { RegistryAuth } from "../../../src/registry/client.ts";
import { client, descriptorOf, errorOf, noiseImage, readAll, repositoryOf, soon } from "./client.ts";
import { ScriptedRegistry } from "./scripted-registry.ts";

const user: RegistryAuth = { username: "user", password: "secretword" };
const basic = `Basic ${Buffer.from("user:secretword").toString("base64")}`;

/** Asks for a bearer token of `issuer` (its own when none), and takes the tokens that it gave out. */
async function tokenRegistry(
  o: { issuer?: string; allow?: (authorization: string | undefined) => boolean; expiresIn?: number } = {},
) {
  const registry = await ScriptedRegistry.start();
  const tokens = new Set<string>();
  let count = 0;
  const isGood = (authorization: string | undefined) =>
    tokens.has(authorization?.replace("Bearer ", "") ?? "");
  registry.script = (request, response) => {
    if (request.url.startsWith("/token")) {
      if (!(o.allow?.(request.authorization) ?? true)) {
        response.writeHead(401).end();
        return true;
      }
      const token = `token-${++count}`;
      tokens.add(token);
      response.end(JSON.stringify({ token, expires_in: o.expiresIn ?? 300 }));
      return true;
    }
    if (isGood(request.authorization)) return false;
    const realm = o.issuer ?? `${registry.url}/token`;
    response.writeHead(401, {
      "www-authenticate": `Bearer realm="${realm}",service="test",scope="repository:a:pull"`,
    });
    response.end();
    return true;
  };
  return { registry, tokens };
}

describe("a bearer token", () => {
  it("is fetched with the credentials of the call and used for everything after", async () => {
    const { registry } = await tokenRegistry({ allow: (authorization) => authorization === basic });
    await using _ = registry;
    const { image, layer } = await noiseImage(1000);
    const repository = repositoryOf(client(), registry.add("a", "v1", image), user);
    await repository.manifest((await repository.resolve(soon())).digest, soon());
    await readAll(repository.blob(descriptorOf(layer), soon()));
    expect(registry.seen("/token").map(({ url }) => url)).toEqual([
      "/token?service=test&scope=repository%3Aa%3Apull",
    ]);
    expect(registry.seen("/v2/").map(({ authorization }) => authorization)).toEqual([
      undefined,
      "Bearer token-1",
      "Bearer token-1",
      "Bearer token-1",
    ]);
  });

  it("of one caller does not serve another", async () => {
    const { registry } = await tokenRegistry({ allow: (authorization) => authorization === basic });
    await using _ = registry;
    const http = client();
    const { image } = await noiseImage(1000);
    const ref = registry.add("a", "v1", image);
    await repositoryOf(http, ref, user).resolve(soon());
    expect((await errorOf(repositoryOf(http, ref).resolve(soon()))).kind).toBe("unauthenticated");
    const other = { ...user, password: "other" };
    expect((await errorOf(repositoryOf(http, ref, other).resolve(soon()))).kind).toBe("unauthenticated");
    await repositoryOf(http, ref, user).resolve(soon());
    expect(registry.seen("/token").filter(({ authorization }) => authorization === basic)).toHaveLength(1);
  });

  it("that expires in the middle of a pull is replaced", async () => {
    const { registry, tokens } = await tokenRegistry();
    await using _ = registry;
    const { image, layer } = await noiseImage(1000);
    const repository = repositoryOf(client(), registry.add("a", "v1", image));
    for (let blob = 0; blob < 10; blob++) {
      if (blob === 3) tokens.clear();
      expect(await readAll(repository.blob(descriptorOf(layer), soon()))).toEqual(Buffer.from(layer.bytes));
    }
    expect(registry.seen("/token")).toHaveLength(2);
  });

  it("is fetched once for many requests at a time", async () => {
    const { registry } = await tokenRegistry();
    await using _ = registry;
    const { image, layer } = await noiseImage(1000);
    const repository = repositoryOf(client(), registry.add("a", "v1", image));
    await Promise.all(
      Array.from({ length: 20 }, () => readAll(repository.blob(descriptorOf(layer), soon()))),
    );
    expect(registry.seen("/token")).toHaveLength(1);
  });

  it("that the registry never takes ends in an error, not in a loop", async () => {
    await using registry = await ScriptedRegistry.start();
    const repository = repositoryOf(client(), `${registry.host}/a:v1`, user);
    registry.script = ({ url }, response) => {
      if (url.startsWith("/token")) response.end('{"access_token":"x"}');
      else response.writeHead(401, { "www-authenticate": `Bearer realm="${registry.url}/token"` }).end();
      return true;
    };
    const error = await errorOf(repository.resolve(soon()));
    expect(error).toMatchObject({ kind: "unauthenticated" });
    expect(error.message).toContain("check the credentials given");
    expect(registry.requests.length).toBeLessThan(8);
  });

  it.each([
    "{}",
    "null",
    "[]",
    "<html>",
    '{"token":"a\\r\\nX: y"}',
    '{"token":""}',
    '{"token":7}',
    `{"token":"${"x".repeat(40_000)}"}`,
  ])("is not made of %s", async (body) => {
    await using registry = await ScriptedRegistry.start();
    const repository = repositoryOf(client({}, { attempts: 1 }), `${registry.host}/a:v1`);
    registry.script = ({ url }, response) => {
      if (url.startsWith("/token")) response.end(body);
      else response.writeHead(401, { "www-authenticate": `Bearer realm="${registry.url}/token"` }).end();
      return true;
    };
    expect((await errorOf(repository.resolve(soon()))).message).toContain("sent no usable token");
  });

  it("is exchanged for an identity token by a form", async () => {
    const { registry } = await tokenRegistry();
    await using _ = registry;
    const { image } = await noiseImage(1000);
    await repositoryOf(client(), registry.add("a", "v1", image), { identityToken: "refresh-me" }).resolve(
      soon(),
    );
    const [asked] = registry.seen("/token");
    expect(asked).toMatchObject({ method: "POST", url: "/token", authorization: undefined });
    expect(Object.fromEntries(new URLSearchParams(asked?.body))).toMatchObject({
      grant_type: "refresh_token",
      refresh_token: "refresh-me",
      service: "test",
    });
  });

  it("given as registry token goes to the registry as it is", async () => {
    await using registry = await ScriptedRegistry.start();
    const { image } = await noiseImage(1000);
    await repositoryOf(client(), registry.add("a", "v1", image), { registryToken: "given" }).resolve(soon());
    expect(registry.requests.map(({ authorization }) => authorization)).toEqual(["Bearer given"]);
  });
});

describe("a hostile token server", () => {
  it("on plain http elsewhere gets no credentials", async () => {
    await using thief = await ScriptedRegistry.start();
    const { registry } = await tokenRegistry({ issuer: `${thief.url}/token` });
    await using _ = registry;
    const error = await errorOf(repositoryOf(client(), `${registry.host}/a:v1`, user).resolve(soon()));
    expect(error).toMatchObject({ kind: "unauthenticated" });
    expect(error.message).toContain(
      `names a token server that is not https: ${thief.url}; no credentials were sent`,
    );
    expect(thief.requests).toEqual([]);
  });

  it("on plain http elsewhere may give an anonymous token to a plain http registry", async () => {
    await using issuer = await ScriptedRegistry.start();
    const { registry, tokens } = await tokenRegistry({ issuer: `${issuer.url}/token` });
    await using _ = registry;
    issuer.script = (__, response) => {
      tokens.add("free");
      response.end('{"token":"free"}');
      return true;
    };
    const { image } = await noiseImage(1000);
    await repositoryOf(client(), registry.add("a", "v1", image)).resolve(soon());
    expect(issuer.requests).toHaveLength(1);
  });

  it.each([
    ["broken quoting", 'Bearer realm="http://'],
    ["no realm", 'Bearer service="x"'],
    ["a realm that is no address", 'Bearer realm="/token"'],
    ["a realm of another kind", 'Bearer realm="file:///etc/passwd"'],
    ["a realm with credentials", 'Bearer realm="https://a:b@c.example/"'],
    ["a thousand parameters", `Bearer ${Array.from({ length: 700 }, (_, i) => `p${i}=x`).join(",")}`],
    ["two realms", 'Bearer realm="https://a.example/",realm="https://b.example/"'],
    ["nothing", undefined],
    ["digest authentication", 'Digest realm="x", nonce="y"'],
  ])("%s: no secret is sent", async (_, challenge) => {
    await using registry = await ScriptedRegistry.start();
    registry.script = (__, response) => {
      response.writeHead(401, challenge === undefined ? {} : { "www-authenticate": challenge }).end();
      return true;
    };
    const error = await errorOf(repositoryOf(client(), `${registry.host}/a:v1`, user).resolve(soon()));
    expect(error.kind).toBe("unauthenticated");
    expect(registry.requests.every(({ authorization }) => authorization === undefined)).toBe(true);
  });

  it("that redirects to another host takes no credentials along", async () => {
    await using thief = await ScriptedRegistry.start();
    const { registry } = await tokenRegistry();
    await using _ = registry;
    const ask = registry.script;
    registry.script = (request, response) => {
      if (!request.url.startsWith("/token")) return ask(request, response);
      response.writeHead(307, { location: `${thief.url}/token` }).end();
      return true;
    };
    await errorOf(repositoryOf(client(), `${registry.host}/a:v1`, user).resolve(soon()));
    expect(registry.seen("/token")[0]?.authorization).toBe(basic);
    expect(thief.requests.length).toBeGreaterThan(0);
    expect(thief.requests.every(({ authorization }) => authorization === undefined)).toBe(true);
  });
});

describe("redirects", () => {
  it("lose the credentials at a change of host or port, and keep them on their own", async () => {
    await using storage = await ScriptedRegistry.start();
    await using registry = await ScriptedRegistry.start();
    const { image, layer } = await noiseImage(1000);
    storage.add("a", "v1", image);
    const repository = repositoryOf(client(), registry.add("a", "v1", image), { registryToken: "given" });
    registry.script = ({ url }, response) => {
      if (url.includes("/stay")) return false;
      if (!url.includes(layer.digest) || url.includes("?moved")) return false;
      response.writeHead(307, {
        location: `${registry.seen(layer.digest).length > 1 ? storage.url : ""}${url}?moved`,
      });
      response.end();
      return true;
    };
    expect(await readAll(repository.blob(descriptorOf(layer), soon()))).toEqual(Buffer.from(layer.bytes));
    expect(registry.seen("?moved").map(({ authorization }) => authorization)).toEqual(["Bearer given"]);
    expect(await readAll(repository.blob(descriptorOf(layer), soon()))).toEqual(Buffer.from(layer.bytes));
    expect(storage.seen("?moved").map(({ authorization }) => authorization)).toEqual([undefined]);
  });

  it("end after ten hops", async () => {
    await using registry = await ScriptedRegistry.start();
    registry.script = ({ url }, response) => {
      response.writeHead(302, { location: `${url}x` }).end();
      return true;
    };
    const error = await errorOf(repositoryOf(client(), `${registry.host}/a:v1`).resolve(soon()));
    expect(error.message).toContain("redirects more than 10 times");
    expect(registry.requests).toHaveLength(11);
  });

  it.each(["file:///etc/passwd", "ftp://127.0.0.1/x", "http://[broken", "javascript:x"])(
    "are not followed to %s",
    async (location) => {
      await using registry = await ScriptedRegistry.start();
      registry.script = (_, response) => {
        response.writeHead(302, { location }).end();
        return true;
      };
      const error = await errorOf(repositoryOf(client(), `${registry.host}/a:v1`).resolve(soon()));
      expect(error.message).toMatch(/redirects (from|to)/);
    },
  );

  it("whose target refuses do not make the registry's credentials go there", async () => {
    await using storage = await ScriptedRegistry.start();
    await using registry = await ScriptedRegistry.start();
    storage.script = (_, response) => {
      response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
      return true;
    };
    registry.script = ({ url }, response) => {
      response.writeHead(307, { location: `${storage.url}${url}` }).end();
      return true;
    };
    const error = await errorOf(repositoryOf(client(), `${registry.host}/a:v1`, user).resolve(soon()));
    expect(error.kind).toBe("unauthenticated");
    expect(storage.requests.every(({ authorization }) => authorization === undefined)).toBe(true);
  });
});

describe("errors", () => {
  it("hold no password, token or signed query, even when the registry sends them back", async () => {
    await using storage = await ScriptedRegistry.start();
    await using registry = await ScriptedRegistry.start();
    const { image, layer } = await noiseImage(1000);
    const ref = registry.add("a", "v1", image);
    const echo = (authorization: string | undefined) =>
      JSON.stringify({
        errors: [{ code: "DENIED", message: `you sent ${authorization} and secretword to /x?sig=signature` }],
      });
    registry.script = ({ url, authorization }, response) => {
      if (url.includes(layer.digest)) {
        response.writeHead(307, { location: `${storage.url}/blob?X-Signature=signature` }).end();
      } else if (authorization === undefined) {
        response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
      } else {
        response.writeHead(403).end(echo(authorization));
      }
      return true;
    };
    storage.script = (request, response) => {
      response.writeHead(403).end(echo(request.url));
      return true;
    };
    const repository = repositoryOf(client(), ref, user);
    const errors = [
      await errorOf(repository.manifest(image.manifest.digest, soon())),
      await errorOf(readAll(repository.blob(descriptorOf(layer), soon()))),
    ];
    expect(errors.map(({ kind }) => kind)).toEqual(["permission-denied", "permission-denied"]);
    for (const error of errors) {
      const text = `${error.message} ${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`;
      for (const secret of ["secretword", basic.slice(6), "signature"]) expect(text).not.toContain(secret);
    }
    expect(errors[0]?.message).toContain("DENIED");
  });
});
