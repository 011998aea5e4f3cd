/** The client against Debian's docker-registry. */
import { describe, expect, it } from "vitest";
import { parseManifest } from "../../../src/oci/manifest.ts";
import { buildImage, buildIndex } from "../../support/image-builder.ts";
import { Registry, registryPassword, registryUser } from "../../support/registry.ts";
import { client, descriptorOf, errorOf, noiseImage, readAll, repositoryOf, soon } from "./client.ts";

describe("a registry without authentication", () => {
  it("gives the manifest, the config and the layers of a tag", async () => {
    await using registry = await Registry.start();
    using http = client();
    for (const format of ["oci", "docker"] as const) {
      const image = await buildImage({ layers: [[{ name: "a", content: format }]], format });
      const repository = repositoryOf(http, await registry.push(`a/${format}`, "v1", image));
      const { digest } = await repository.resolve(soon());
      expect(digest).toBe(image.manifest.digest);
      const document = await repository.manifest(digest, soon());
      const manifest = parseManifest(document.bytes, document.contentType);
      if (manifest.kind !== "manifest") throw new Error("not a manifest");
      expect(await repository.document(manifest.config, "config", soon())).toEqual(image.config.bytes);
      expect(await readAll(repository.blob(descriptorOf(image.layers[0] ?? image.config), soon()))).toEqual(
        Buffer.from(image.layers[0]?.bytes ?? []),
      );
    }
  });

  it("gives an index by tag and by digest", async () => {
    await using registry = await Registry.start();
    using http = client();
    const image = await buildImage({ layers: [[{ name: "a" }]] });
    const index = buildIndex([{ image, platform: { os: "linux", architecture: "amd64" } }]);
    await registry.push("a", "v1", index);
    const ref = `${registry.host}/a:v1@${index.manifest.digest}`;
    const repository = repositoryOf(http, ref);
    const { digest } = await repository.resolve(soon());
    expect(parseManifest((await repository.manifest(digest, soon())).bytes, undefined).kind).toBe("index");
  });

  it("names the reference and the registry of what it does not have", async () => {
    await using registry = await Registry.start();
    using http = client();
    const error = await errorOf(repositoryOf(http, `${registry.host}/none:v1`).resolve(soon()));
    expect(error.kind).toBe("not-found");
    expect(error.message).toContain(
      `manifest ${registry.host}/none:v1 is not in registry http://${registry.host}`,
    );
  });

  it("resumes within a blob", async () => {
    await using registry = await Registry.start();
    using http = client();
    const { image, layer } = await noiseImage();
    const repository = repositoryOf(http, await registry.push("a", "v1", image));
    expect(await readAll(repository.blob(descriptorOf(layer), soon()))).toEqual(Buffer.from(layer.bytes));
  });
});

describe("a registry with basic authentication", () => {
  it("lets in who has the password and nobody else, also right after", async () => {
    await using registry = await Registry.start({ auth: true });
    using http = client();
    const image = await buildImage({ layers: [[{ name: "a" }]] });
    const ref = await registry.push("private", "v1", image);
    const good = { username: registryUser, password: registryPassword };

    const stranger = await errorOf(repositoryOf(http, ref).resolve(soon()));
    expect(stranger).toMatchObject({ kind: "unauthenticated" });
    expect(stranger.message).toContain(`http://${registry.host}`);
    expect(stranger.message).toContain(
      `give credentials in imagePullSecrets or [registries."${registry.host}"]`,
    );

    expect((await repositoryOf(http, ref, good).resolve(soon())).digest).toBe(image.manifest.digest);
    const base64 = Buffer.from(`${registryUser}:${registryPassword}`).toString("base64");
    expect((await repositoryOf(http, ref, { auth: base64 }).resolve(soon())).digest).toBe(
      image.manifest.digest,
    );

    expect((await errorOf(repositoryOf(http, ref).resolve(soon()))).kind).toBe("unauthenticated");
    const wrong = await errorOf(
      repositoryOf(http, ref, { username: registryUser, password: "wrong one" }).resolve(soon()),
    );
    expect(wrong).toMatchObject({ kind: "unauthenticated" });
    expect(wrong.message).not.toContain("wrong one");
  });

  it("takes credentials from the settings of its host", async () => {
    await using registry = await Registry.start({ auth: true });
    const image = await buildImage({ layers: [[{ name: "a" }]] });
    const ref = await registry.push("private", "v1", image);
    using http = client({
      [registry.host]: { auth: { username: registryUser, password: registryPassword } },
    });
    expect((await repositoryOf(http, ref).resolve(soon())).digest).toBe(image.manifest.digest);
  });

  it("gets none that were given for another server", async () => {
    await using registry = await Registry.start({ auth: true });
    using http = client();
    const ref = await registry.push("private", "v1", await buildImage({ layers: [[{ name: "a" }]] }));
    const auth = {
      username: registryUser,
      password: registryPassword,
      serverAddress: "https://other.example",
    };
    expect((await errorOf(repositoryOf(http, ref, auth).resolve(soon()))).kind).toBe("unauthenticated");
  });
});

it("a registry that is not there is named with its address and errno", async () => {
  using http = client();
  const registry = await Registry.start();
  await registry[Symbol.asyncDispose]();
  const error = await errorOf(repositoryOf(http, `${registry.host}/a:v1`).resolve(soon()));
  expect(error).toMatchObject({ kind: "unavailable" });
  expect(error.message).toContain(`registry http://${registry.host} is not reachable: connect ECONNREFUSED`);
});
