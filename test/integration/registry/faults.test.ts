/** Broken, slow and lying registries. */
import { describe, expect, it } from "vitest";
import { sha256 } from "../../../src/oci/digest.ts";
import { maxDocumentBytes } from "../../../src/oci/manifest.ts";
import {
  client,
  descriptorOf,
  errorOf,
  fastTiming,
  noiseImage,
  readAll,
  repositoryOf,
  soon,
} from "./client.ts";
import { ScriptedRegistry, sendForever, sendPart } from "./scripted-registry.ts";

describe("a blob whose connection breaks", () => {
  it.each([0, 0.5, 0.99])("after %d of it is taken up where it broke", async (share) => {
    await using registry = await ScriptedRegistry.start();
    const { image, layer } = await noiseImage();
    const repository = repositoryOf(client(), registry.add("a", "v1", image));
    let tries = 0;
    registry.script = async ({ url }, response) => {
      if (!url.includes(layer.digest) || ++tries > 1) return false;
      const part = layer.bytes.subarray(0, Math.floor(layer.bytes.byteLength * share));
      await sendPart(response, part, { length: layer.bytes.byteLength, after: "break" });
      return true;
    };
    expect(await readAll(repository.blob(descriptorOf(layer), soon()))).toEqual(Buffer.from(layer.bytes));
    const asked = registry.seen(layer.digest).map(({ range }) => range);
    expect(asked).toHaveLength(2);
    if (share > 0) expect(asked[1]).toMatch(/^bytes=\d+-$/);
  });

  it.each([0, 0.5, 0.99])(
    "stalls after %d of it is given up after the limit and taken up again",
    async (share) => {
      await using registry = await ScriptedRegistry.start();
      const { image, layer } = await noiseImage();
      const repository = repositoryOf(client(), registry.add("a", "v1", image));
      let tries = 0;
      registry.script = async ({ url }, response) => {
        if (!url.includes(layer.digest) || ++tries > 1) return false;
        const part = layer.bytes.subarray(0, Math.floor(layer.bytes.byteLength * share));
        await sendPart(response, part, { length: layer.bytes.byteLength, after: "hold" });
        return true;
      };
      expect(await readAll(repository.blob(descriptorOf(layer), soon()))).toEqual(Buffer.from(layer.bytes));
      expect(tries).toBe(2);
    },
  );

  it("is resumed also by a registry that does not know ranges", async () => {
    await using registry = await ScriptedRegistry.start();
    const { image, layer } = await noiseImage();
    const repository = repositoryOf(client(), registry.add("a", "v1", image));
    let tries = 0;
    registry.script = async ({ url }, response) => {
      if (!url.includes(layer.digest)) return false;
      const share = ++tries < 3 ? 0.3 * tries : 1;
      const part = layer.bytes.subarray(0, Math.floor(layer.bytes.byteLength * share));
      await sendPart(response, part, { length: layer.bytes.byteLength, after: share < 1 ? "break" : "hold" });
      return true;
    };
    expect(await readAll(repository.blob(descriptorOf(layer), soon()))).toEqual(Buffer.from(layer.bytes));
  });

  it("breaks again and again without news is given up with its place", async () => {
    await using registry = await ScriptedRegistry.start();
    const { image, layer } = await noiseImage();
    const repository = repositoryOf(client(), registry.add("a", "v1", image));
    registry.script = async ({ url, range }, response) => {
      if (!url.includes(layer.digest)) return false;
      const part = range ? new Uint8Array() : layer.bytes.subarray(0, 1000);
      const from = range ? 1000 : 0;
      await sendPart(response, part, {
        length: layer.bytes.byteLength - from,
        status: range ? 206 : 200,
        headers: { "content-range": `bytes ${from}-${layer.bytes.byteLength - 1}/${layer.bytes.byteLength}` },
        after: "break",
      });
      return true;
    };
    const error = await errorOf(readAll(repository.blob(descriptorOf(layer), soon())));
    expect(error).toMatchObject({ kind: "unavailable" });
    expect(error.message).toContain(`registry ${registry.url} broke off the connection`);
    expect(registry.seen(layer.digest).length).toBe(1 + fastTiming.attempts - 1);
  });

  it("at one byte now and then is too slow to wait for", async () => {
    await using registry = await ScriptedRegistry.start();
    const { image, layer } = await noiseImage();
    const http = client({}, { minProgressBytes: 4096, noProgressMs: 100, attempts: 2 });
    const repository = repositoryOf(http, registry.add("a", "v1", image));
    registry.script = ({ url }, response) => {
      if (!url.includes(layer.digest)) return false;
      response.writeHead(200, { "content-length": layer.bytes.byteLength });
      let sent = 0;
      const drip = setInterval(() => response.write(layer.bytes.subarray(sent, ++sent)), 5);
      response.on("close", () => clearInterval(drip));
      return true;
    };
    const error = await errorOf(readAll(repository.blob(descriptorOf(layer), soon())));
    expect(error.message).toBe(`registry ${registry.url} made no progress for 100 ms`);
  });

  it("is not given up while our own side is slow", async () => {
    await using registry = await ScriptedRegistry.start();
    const { image, layer } = await noiseImage();
    const repository = repositoryOf(client({}, { noProgressMs: 60 }), registry.add("a", "v1", image));
    let received = 0;
    for await (const chunk of repository.blob(descriptorOf(layer), soon())) {
      received += chunk.byteLength;
      if (received === chunk.byteLength) await new Promise((resolve) => setTimeout(resolve, 150));
    }
    expect(received).toBe(layer.bytes.byteLength);
    expect(registry.seen(layer.digest)).toHaveLength(1);
  });
});

describe("a caller who cancels", () => {
  it.each(["headers", "manifest", "blob", "retry"])(
    "is answered at once during a stall in the %s",
    async (where) => {
      await using registry = await ScriptedRegistry.start();
      const { image, layer } = await noiseImage();
      const http = client({}, { noProgressMs: 60_000, backoffMs: 60_000, backoffCapMs: 60_000 });
      const repository = repositoryOf(http, registry.add("a", "v1", image));
      registry.script = async (_, response) => {
        if (where === "retry") response.writeHead(503).end();
        else if (where !== "headers")
          await sendPart(response, Buffer.from("{"), { length: 5000, after: "hold" });
        return true;
      };
      const controller = new AbortController();
      const asking =
        where === "blob"
          ? readAll(repository.blob({ ...descriptorOf(layer), sizeBytes: 5000 }, controller.signal))
          : repository.manifest(image.manifest.digest, controller.signal);
      await registry.until("/v2/");
      const started = performance.now();
      controller.abort();
      expect((await errorOf(asking)).name).toBe("AbortError");
      expect(performance.now() - started).toBeLessThan(1000);
    },
  );
});

describe("content that is not what was promised", () => {
  it("a blob that is longer or shorter by its length header is refused at once", async () => {
    await using registry = await ScriptedRegistry.start();
    const { image, layer } = await noiseImage();
    const repository = repositoryOf(client(), registry.add("a", "v1", image));
    for (const change of [1, -1]) {
      const wrong = { ...descriptorOf(layer), sizeBytes: layer.bytes.byteLength + change };
      const error = await errorOf(readAll(repository.blob(wrong, soon())));
      expect(error).toMatchObject({ kind: "invalid-argument" });
      expect(error.message).toContain(
        `manifest says ${wrong.sizeBytes} bytes, registry has ${layer.bytes.byteLength}`,
      );
    }
    expect(registry.seen(layer.digest)).toHaveLength(2);
  });

  it("a blob without a length header is cut at the size of its descriptor", async () => {
    await using registry = await ScriptedRegistry.start();
    const { image, layer } = await noiseImage();
    const repository = repositoryOf(client(), registry.add("a", "v1", image));
    let taken: Promise<number> | undefined;
    registry.script = async ({ url }, response) => {
      if (!url.includes(layer.digest)) return false;
      taken = sendForever(response);
      await taken;
      return true;
    };
    let received = 0;
    const error = await errorOf(
      (async () => {
        for await (const chunk of repository.blob(descriptorOf(layer), soon())) received += chunk.byteLength;
      })(),
    );
    expect(error).toMatchObject({ kind: "invalid-argument" });
    expect(error.message).toContain("sends more");
    expect(received).toBeLessThanOrEqual(layer.bytes.byteLength);
    expect(await taken).toBeLessThan(16 << 20);
  });

  it("a manifest or config of another digest is refused", async () => {
    await using registry = await ScriptedRegistry.start();
    const { image } = await noiseImage(1000);
    const repository = repositoryOf(client(), registry.add("a", "v1", image));
    registry.script = ({ url, method }, response) => {
      const blob = [image.manifest, image.config].find(({ digest }) => url.includes(digest));
      if (!blob || method === "HEAD") return false;
      const bytes = Buffer.from(blob.bytes);
      bytes[bytes.length - 2] = (bytes[bytes.length - 2] ?? 0) ^ 1;
      response.writeHead(200, { "content-length": bytes.length, "content-type": blob.mediaType }).end(bytes);
      return true;
    };
    const manifest = await errorOf(repository.manifest(image.manifest.digest, soon()));
    expect(manifest).toMatchObject({ kind: "invalid-argument" });
    expect(manifest.message).toContain(`expected ${image.manifest.digest}`);
    const config = await errorOf(repository.document(descriptorOf(image.config), "config", soon()));
    expect(config.message).toContain(`expected ${image.config.digest}`);
  });

  it("a digest header that is a path is not used", async () => {
    await using registry = await ScriptedRegistry.start();
    const { image } = await noiseImage(1000);
    const repository = repositoryOf(client(), registry.add("a", "v1", image));
    registry.script = ({ method }, response) => {
      if (method !== "HEAD") return false;
      response.writeHead(200, { "docker-content-digest": "sha256:../../x" }).end();
      return true;
    };
    expect((await repository.resolve(soon())).digest).toBe(sha256(image.manifest.bytes));
  });
});

describe("bodies without end are cut at their cap", () => {
  it.each([
    ["a manifest", maxDocumentBytes],
    ["an error", 64 << 10],
    ["an error with a false length", 64 << 10],
    ["a token", 1 << 20],
  ])("%s at %d bytes", async (what, cap) => {
    await using registry = await ScriptedRegistry.start();
    const repository = repositoryOf(
      client({}, { attempts: 1 }),
      registry.add("a", "v1", (await noiseImage(1000)).image),
    );
    const taken: Promise<number>[] = [];
    registry.script = async ({ url }, response) => {
      if (what === "a token" && !url.startsWith("/token")) {
        response.writeHead(401, { "www-authenticate": `Bearer realm="${registry.url}/token"` }).end();
        return true;
      }
      const status = what.startsWith("an error") ? 500 : 200;
      const headers: Record<string, string> = what.includes("length")
        ? { "content-length": "1000000000000" }
        : {};
      taken.push(sendForever(response, headers, status));
      await Promise.all(taken);
      return true;
    };
    const error = await errorOf(repository.manifest(sha256("x"), soon()));
    expect(error.kind).toBe(what.startsWith("an error") ? "unavailable" : "invalid-argument");
    const sent = (await Promise.all(taken)).reduce((sum, bytes) => sum + bytes, 0);
    expect(sent).toBeLessThan(cap + (8 << 20)); // what the kernel's socket buffers hold
  });

  it("headers too", async () => {
    await using registry = await ScriptedRegistry.start();
    const repository = repositoryOf(
      client({}, { attempts: 1 }),
      registry.add("a", "v1", (await noiseImage(1000)).image),
    );
    registry.script = (_, response) => {
      for (let i = 0; i < 1000; i++) response.setHeader(`x-${i}`, "x".repeat(1000));
      response.end();
      return true;
    };
    expect((await errorOf(repository.manifest(sha256("x"), soon()))).kind).toBe("unavailable");
  });
});

describe("a registry in trouble", () => {
  it("that answers 500, 502, 503, 504 and then well succeeds, each pause longer", async () => {
    await using registry = await ScriptedRegistry.start();
    const { image } = await noiseImage(1000);
    const repository = repositoryOf(client(), registry.add("a", "v1", image));
    const statuses = [500, 502, 503, 504];
    registry.script = (_, response) => {
      const status = statuses.shift();
      if (status !== undefined) response.writeHead(status).end();
      return status !== undefined;
    };
    expect((await repository.resolve(soon())).digest).toBe(image.manifest.digest);
    expect(registry.requests).toHaveLength(5);
  });

  it("that stays broken is asked a few times and named", async () => {
    await using registry = await ScriptedRegistry.start();
    const repository = repositoryOf(client(), `${registry.host}/a:v1`);
    registry.script = (_, response) => {
      response.writeHead(503).end();
      return true;
    };
    const error = await errorOf(repository.resolve(soon()));
    expect(error).toMatchObject({ kind: "unavailable" });
    expect(error.message).toContain(`registry ${registry.url} answered HTTP 503 for manifest`);
    expect(registry.requests).toHaveLength(fastTiming.attempts);
  });

  it.each(["2", "30", "86400", "garbage", new Date(Date.now() + 3600_000).toUTCString()])(
    "that limits the rate with Retry-After %s is waited for within the cap",
    async (header) => {
      await using registry = await ScriptedRegistry.start();
      const { image } = await noiseImage(1000);
      const repository = repositoryOf(client(), registry.add("a", "v1", image));
      let isLimited = true;
      registry.script = (_, response) => {
        if (!isLimited) return false;
        response.writeHead(429, { "retry-after": header }).end();
        return true;
      };
      const error = await errorOf(repository.resolve(soon()));
      expect(error).toMatchObject({ kind: "resource-exhausted" });
      expect(registry.requests).toHaveLength(fastTiming.attempts);
      isLimited = false;
      expect((await repository.resolve(soon())).digest).toBe(image.manifest.digest);
    },
  );

  it("that stalls before its headers is tried again", async () => {
    await using registry = await ScriptedRegistry.start();
    const { image } = await noiseImage(1000);
    const repository = repositoryOf(client(), registry.add("a", "v1", image));
    let tries = 0;
    registry.script = () => ++tries === 1;
    expect((await repository.resolve(soon())).digest).toBe(image.manifest.digest);
  });

  it("that closes kept connections between requests costs no try", async () => {
    await using registry = await ScriptedRegistry.start();
    const { image } = await noiseImage(1000);
    const repository = repositoryOf(client({}, { attempts: 1 }), registry.add("a", "v1", image));
    registry.script = (request, response) => {
      registry.serve(request, response);
      response.on("finish", () => response.socket?.destroySoon());
      return true;
    };
    for (let i = 0; i < 5; i++) expect((await repository.resolve(soon())).digest).toBe(image.manifest.digest);
  });

  it("that does not know HEAD is asked by GET", async () => {
    await using registry = await ScriptedRegistry.start();
    const { image } = await noiseImage(1000);
    const repository = repositoryOf(client(), registry.add("a", "v1", image));
    registry.script = ({ method }, response) => {
      if (method === "HEAD") response.writeHead(405).end();
      return method === "HEAD";
    };
    const { digest, document } = await repository.resolve(soon());
    expect(digest).toBe(image.manifest.digest);
    expect(document?.bytes).toEqual(Buffer.from(image.manifest.bytes));
  });
});
