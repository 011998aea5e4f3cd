/** What the registry tests share: a client with a fast clock, and images to ask for. */
import { parseReference } from "../../../src/oci/reference.ts";
import {
  type RegistryAuth,
  RegistryClient,
  type RegistryHosts,
  type RegistryTiming,
  type Repository,
} from "../../../src/registry/client.ts";
import { type BuiltImage, type BuiltLayer, buildImage, layerOfTar } from "../../support/image-builder.ts";

/** Small numbers instead of minutes; large enough for a busy machine. */
export const fastTiming: RegistryTiming = {
  connectMs: 2000,
  noProgressMs: 300,
  minProgressBytes: 1,
  backoffMs: 4,
  backoffCapMs: 20,
  retryAfterCapMs: 60,
  attempts: 5,
  connectAttempts: 2,
};

export function client(
  hosts: RegistryHosts = {},
  timing: Partial<RegistryTiming> = {},
): RegistryClient & Disposable {
  const made = new RegistryClient({ hosts: () => hosts, timing: { ...fastTiming, ...timing } });
  return Object.assign(made, { [Symbol.dispose]: () => made.close() });
}

export function repositoryOf(registry: RegistryClient, ref: string, auth?: RegistryAuth): Repository {
  return registry.repository(parseReference(ref), auth);
}

/** The time a test waits for anything. */
export function soon(): AbortSignal {
  return AbortSignal.timeout(30_000);
}

export async function readAll(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts);
}

/** A layer of `size` bytes that do not repeat. Not a tar: for tests that never unpack it. */
export function noiseLayer(size: number): BuiltLayer {
  const bytes = Buffer.alloc(size);
  for (let i = 0, x = 1; i < size; i++) {
    x = (x * 1103515245 + 12345) & 0x7fffffff;
    bytes[i] = x >> 16;
  }
  return layerOfTar(bytes, { compression: "none" });
}

/** An image with one layer of noise. */
export async function noiseImage(size = 300_000): Promise<{ image: BuiltImage; layer: BuiltLayer }> {
  const layer = noiseLayer(size);
  return { image: await buildImage({ layers: [layer] }), layer };
}

export function descriptorOf(blob: { mediaType: string; digest: string; bytes: Uint8Array }) {
  return {
    mediaType: blob.mediaType,
    digest: blob.digest,
    sizeBytes: blob.bytes.byteLength,
    platform: undefined,
  };
}

export async function errorOf(promise: Promise<unknown>): Promise<Error & { kind?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("it should have failed");
}
