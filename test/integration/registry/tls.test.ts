/** TLS: nothing is trusted that was not named, and what is named for one host holds for no other. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RegistryHosts } from "../../../src/registry/client.ts";
import { client, descriptorOf, errorOf, noiseImage, readAll, repositoryOf, soon } from "./client.ts";
import { ScriptedRegistry } from "./scripted-registry.ts";

let folder: string;
const file = (name: string) => join(folder, name);
const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });

function authority(name: string) {
  openssl(
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-days",
    "2",
    "-subj",
    `/CN=${name}`,
    "-addext",
    "keyUsage=keyCertSign",
    "-keyout",
    `${name}.key`,
    "-out",
    `${name}.pem`,
  );
}

function certificate(name: string, o: { ca: string; altName: string; from: string; to: string }) {
  openssl(
    "req",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-subj",
    `/CN=${name}`,
    "-keyout",
    `${name}.key`,
    "-out",
    `${name}.csr`,
  );
  mkdirSync(file(`${name}.d`));
  writeFileSync(file(`${name}.d/index`), "");
  writeFileSync(file(`${name}.d/ext`), `subjectAltName=${o.altName}\n`);
  writeFileSync(
    file(`${name}.d/cnf`),
    `[ca]\ndefault_ca=c\n[c]\nnew_certs_dir=${name}.d\ndatabase=${name}.d/index\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n`,
  );
  openssl(
    "ca",
    "-batch",
    "-notext",
    "-config",
    `${name}.d/cnf`,
    "-extfile",
    `${name}.d/ext`,
    "-cert",
    `${o.ca}.pem`,
    "-keyfile",
    `${o.ca}.key`,
    "-startdate",
    o.from,
    "-enddate",
    o.to,
    "-in",
    `${name}.csr`,
    "-out",
    `${name}.pem`,
  );
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kobako-tls-"));
  authority("ca");
  authority("other");
  const now = { from: "20250101000000Z", to: "20490101000000Z" };
  certificate("good", { ca: "ca", altName: "IP:127.0.0.1", ...now });
  certificate("wrong-name", { ca: "ca", altName: "DNS:else.example", ...now });
  certificate("expired", {
    ca: "ca",
    altName: "IP:127.0.0.1",
    from: "20200101000000Z",
    to: "20210101000000Z",
  });
  certificate("future", {
    ca: "ca",
    altName: "IP:127.0.0.1",
    from: "20480101000000Z",
    to: "20490101000000Z",
  });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function tlsRegistry(name: string) {
  const registry = await ScriptedRegistry.start({
    tls: { cert: readFileSync(file(`${name}.pem`), "utf8"), key: readFileSync(file(`${name}.key`), "utf8") },
  });
  const { image, layer } = await noiseImage(1000);
  return { registry, layer, ref: registry.add("a", "v1", image) };
}

describe("a registry over TLS", () => {
  it("with a certificate of an authority named for it is trusted", async () => {
    const { registry, layer, ref } = await tlsRegistry("good");
    await using _ = registry;
    const repository = repositoryOf(client({ [registry.host]: { ca: file("ca.pem") } }), ref);
    await repository.resolve(soon());
    expect(await readAll(repository.blob(descriptorOf(layer), soon()))).toEqual(Buffer.from(layer.bytes));
  });

  it.each([
    ["wrong-name", "ca", /does not match certificate's altnames|altnames/i],
    ["expired", "ca", /expired.*; renew the registry's certificate/],
    ["future", "ca", /not yet valid.*; is this machine's clock right/],
    ["good", "other", /; name its authority as ca in \[registries/],
  ])(
    "with a certificate that is %s, its authority %s, is refused with a remedy",
    async (name, ca, message) => {
      const { registry, ref } = await tlsRegistry(name);
      await using _ = registry;
      const error = await errorOf(
        repositoryOf(client({ [registry.host]: { ca: file(`${ca}.pem`) } }), ref).resolve(soon()),
      );
      expect(error).toMatchObject({ kind: "unavailable" });
      expect(error.message).toMatch(message);
      expect(registry.requests).toEqual([]);
    },
  );

  it("is not trusted because another host is insecure or has its authority", async () => {
    const { registry, ref } = await tlsRegistry("good");
    await using _ = registry;
    const hosts: RegistryHosts = {
      "127.0.0.1:1": { insecure: true, ca: file("ca.pem") },
      [registry.host]: { ca: file("other.pem") },
    };
    expect((await errorOf(repositoryOf(client(hosts), ref).resolve(soon()))).message).toContain(
      "name its authority",
    );
    const trusted = { [registry.host]: { insecure: true } };
    await repositoryOf(client(trusted), ref).resolve(soon());
    expect(registry.requests.length).toBeGreaterThan(0);
  });

  it("never redirects to plain http", async () => {
    await using plain = await ScriptedRegistry.start();
    const { registry, ref } = await tlsRegistry("good");
    await using _ = registry;
    registry.script = ({ url }, response) => {
      response.writeHead(307, { location: `${plain.url}${url}?secret=x` }).end();
      return true;
    };
    const error = await errorOf(
      repositoryOf(client({ [registry.host]: { ca: file("ca.pem") } }), ref).resolve(soon()),
    );
    expect(error.message).toContain(`redirects from https:// to ${plain.url}, which is not followed`);
    expect(plain.requests).toEqual([]);
  });

  it("never sends a token request to plain http", async () => {
    await using plain = await ScriptedRegistry.start();
    const { registry, ref } = await tlsRegistry("good");
    await using _ = registry;
    registry.script = (__, response) => {
      response.writeHead(401, { "www-authenticate": `Bearer realm="${plain.url}/token"` }).end();
      return true;
    };
    const http = client({ [registry.host]: { ca: file("ca.pem") } });
    expect((await errorOf(repositoryOf(http, ref).resolve(soon()))).kind).toBe("unauthenticated");
    expect(plain.requests).toEqual([]);
  });

  it("whose files cannot be read is an error that names the setting, and is read again when they can", async () => {
    const { registry, ref } = await tlsRegistry("good");
    await using _ = registry;
    const ca = file("later.pem");
    const http = client({ [registry.host]: { ca } });
    const error = await errorOf(repositoryOf(http, ref).resolve(soon()));
    expect(error).toMatchObject({ kind: "invalid-argument" });
    expect(error.message).toBe(`registries."${registry.host}".ca: ${ca} cannot be read`);
    writeFileSync(ca, readFileSync(file("ca.pem")));
    await repositoryOf(http, ref).resolve(soon());
  });
});

describe("a registry that speaks plain http where https is meant", () => {
  async function plain() {
    const server = createServer((_, response) => {
      response.writeHead(200, { "docker-content-digest": `sha256:${"a".repeat(64)}` }).end();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    return {
      host,
      async [Symbol.asyncDispose]() {
        server.closeAllConnections();
        server.close();
      },
    };
  }

  it("is refused, with the remedy", async () => {
    await using server = await plain();
    const http = client({ [server.host]: { ca: file("ca.pem") } });
    const error = await errorOf(repositoryOf(http, `${server.host}/a:v1`).resolve(soon()));
    expect(error.message).toContain(`set insecure in [registries."${server.host}"]`);
  });

  it("is used when its host is set insecure", async () => {
    await using server = await plain();
    const http = client({ [server.host]: { insecure: true } });
    const repository = repositoryOf(http, `${server.host}/a:v1`);
    for (let i = 0; i < 2; i++)
      expect((await repository.resolve(soon())).digest).toBe(`sha256:${"a".repeat(64)}`);
  });
});
