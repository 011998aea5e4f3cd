/**
 * One blob as a stream: a connection that breaks is taken up again where it broke, and never more or fewer bytes are
 * given than the manifest promised. The digest is the reader's to check (each byte is hashed once).
 */
import type { Descriptor } from "../oci/manifest.ts";
import { RegistryError } from "./failure.ts";
import type { RegistryTiming } from "./retry.ts";
import { pause } from "./retry.ts";
import { pauseAfter } from "./session.ts";
import type { Answer } from "./transport.ts";

/** So many new bytes make earlier failures forgotten. */
const freshStartBytes = 256 << 10;

export interface BlobSource {
  /** Asks for the blob from `offset` on; a server may send all of it instead (status 200). */
  open(offset: number, signal: AbortSignal): Promise<Answer>;
  /** The server last opened breaks off again and again: ask another first, if there is one. */
  demote(): void;
}

/**
 * @throws RegistryError `invalid-argument` when the size is not the promised one, `unavailable` when no try brings news;
 * the signal's reason.
 */
export async function* streamBlob(
  blob: Descriptor,
  source: BlobSource,
  timing: RegistryTiming,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  let offset = 0;
  let failures = 0;
  let freshFrom = 0;
  const waitAfter = async (error: unknown) => {
    signal.throwIfAborted();
    if (offset - freshFrom >= freshStartBytes) failures = 0;
    freshFrom = offset;
    const pauseMs = pauseAfter(error, ++failures, timing);
    if (pauseMs === undefined) throw error;
    if (failures > 1) source.demote();
    await pause(pauseMs, signal);
  };
  while (offset < blob.sizeBytes) {
    let answer: Answer;
    try {
      answer = await source.open(offset, signal);
    } catch (error) {
      // The source has tried again already. A link that goes away in the middle of a blob deserves more patience.
      if (offset === 0 || !(error instanceof RegistryError && error.retry === "connect")) throw error;
      await waitAfter(new RegistryError(error.kind, error.message, { retry: "later", cause: error.cause }));
      continue;
    }
    try {
      for await (const chunk of oneConnection(blob, offset, answer, signal)) {
        offset += chunk.byteLength;
        if (offset > blob.sizeBytes) throw wrongSize(blob, "sends more");
        yield chunk;
      }
      if (offset < blob.sizeBytes) throw endedEarly(blob, offset);
    } catch (error) {
      await waitAfter(error);
    }
  }
}

/** The bytes from `offset` on that one answer brings. */
async function* oneConnection(
  blob: Descriptor,
  offset: number,
  answer: Answer,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  let skip = 0;
  if (answer.status === 206) {
    const range = /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15}|\*)$/.exec(answer.headers["content-range"] ?? "");
    if (Number(range?.[1]) !== offset) {
      await answer.body.discard(signal);
      throw new RegistryError(
        "unavailable",
        `registry ${answer.origin} sent another part of ${blob.digest} than asked for`,
      );
    }
    if (range?.[2] !== "*" && Number(range?.[2]) !== blob.sizeBytes)
      throw wrongSize(blob, `has ${range?.[2]}`);
  } else {
    const declared = answer.body.declaredBytes;
    if (declared !== undefined && declared !== blob.sizeBytes) {
      await answer.body.discard(signal);
      throw wrongSize(blob, `has ${declared}`);
    }
    skip = offset; // it does not do ranges
  }
  for await (const chunk of answer.body.chunks(signal)) {
    const rest = chunk.subarray(Math.min(skip, chunk.byteLength));
    skip -= chunk.byteLength - rest.byteLength;
    if (rest.byteLength > 0) yield rest;
  }
}

function wrongSize(blob: Descriptor, what: string): RegistryError {
  return new RegistryError(
    "invalid-argument",
    `blob ${blob.digest}: manifest says ${blob.sizeBytes} bytes, registry ${what}`,
  );
}

function endedEarly(blob: Descriptor, offset: number): RegistryError {
  return new RegistryError(
    "unavailable",
    `blob ${blob.digest} ended after ${offset} of ${blob.sizeBytes} bytes`,
    {
      retry: "later",
    },
  );
}
