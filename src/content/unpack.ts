/**
 * One run of kobako-unpack: compressed bytes in, a folder out. The native side verifies digest, size and diff id
 * and is the only one that looks into the bytes.
 */
import type { Readable, Writable } from "node:stream";
import { RuntimeError } from "../errors/runtime-error.ts";
import { type HelperAnswer, answerNumber, parseAnswers } from "../process/file-helper.ts";
import { type Child, launch } from "../process/spawn.ts";
import type { RootAttributes } from "../oci/layer-stack.ts";
import type { LayerSource } from "./layer.ts";

/** What a layer may cost at most. */
export interface LayerLimits {
  /** Of the tar. */
  readonly outputBytes: number;
  readonly entries: number;
  /** The tar may have this many bytes whatever its compression; above, at most `ratio` times the compressed size. */
  readonly freeBytes: number;
  readonly ratio: number;
  /** Of the file system: unpacking stops before less than this is left. */
  readonly reserveBytes: number;
}

export interface Unpacked {
  readonly usedBytes: number;
  readonly inodes: number;
  /** How many things wait for the layers below; 0: the folder is complete. */
  readonly pending: number;
  readonly root: RootAttributes | null;
  readonly rootOpaque: boolean;
}

/** A bound on the whole; the registry watches progress. */
const unpackLimitMs = 12 * 3_600_000;
const settleLimitMs = 600_000;
const outputMaxBytes = 64 << 10;

/** Unpacks into `<dir>/fs`. @throws RuntimeError as LayerStore.unpack, or what `source` throws. */
export async function unpackInto(
  binary: string,
  dir: string,
  source: LayerSource,
  limits: LayerLimits,
  signal: AbortSignal,
  onProgress: (bytes: number) => void,
): Promise<Unpacked> {
  const request = {
    op: "unpack",
    dir,
    digest: source.digest,
    size: source.sizeBytes,
    compression: source.compression,
    diff_id: source.diffId,
    base: source.parents.length === 0,
    limits: {
      output_bytes: limits.outputBytes,
      entries: limits.entries,
      free_bytes: limits.freeBytes,
      ratio: limits.ratio,
      reserve_bytes: limits.reserveBytes,
    },
  };
  const answer = await converse(binary, request, unpackLimitMs, signal, (child, ended) =>
    feed(child, source, ended, onProgress),
  );
  const root = answer.root as { listed?: unknown } & Record<string, unknown>;
  return {
    usedBytes: answerNumber(answer, "used_bytes"),
    inodes: answerNumber(answer, "inodes"),
    pending: answerNumber(answer, "pending"),
    root:
      root?.listed === true
        ? { mode: answerNumber(root, "mode"), uid: answerNumber(root, "uid"), gid: answerNumber(root, "gid") }
        : null,
    rootOpaque: answer.root_opaque === true,
  };
}

/** Settles what `unpackInto` left open in `dir`. @param parents folders of the layers below, highest first. */
export async function settleIn(
  binary: string,
  dir: string,
  parents: readonly string[],
  signal: AbortSignal,
): Promise<{ usedBytes: number; inodes: number }> {
  const answer = await converse(
    binary,
    { op: "settle", dir, parents },
    settleLimitMs,
    signal,
    async () => {},
  );
  return { usedBytes: answerNumber(answer, "used_bytes"), inodes: answerNumber(answer, "inodes") };
}

async function converse(
  binary: string,
  request: object,
  timeoutMs: number,
  signal: AbortSignal,
  talk: (child: Child, ended: AbortSignal) => Promise<void>,
): Promise<HelperAnswer> {
  const child = await launch(binary, [], { timeoutMs }, signal);
  const stdout = collect(child.stdout);
  const stderr = child.stderr ? collect(child.stderr) : undefined;
  const gone = new AbortController();
  const ended = child.ended.finally(() => gone.abort());
  ended.catch(() => {}); // awaited below; until then a failure of `talk` may come first
  try {
    const json = Buffer.from(JSON.stringify(request));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(json.length);
    child.stdin.write(length);
    child.stdin.write(json);
    try {
      await talk(child, gone.signal);
    } catch (error) {
      child.abort(new RuntimeError("cancelled", "the layer's source failed", { cause: error }));
      await ended.catch(() => {});
      throw error;
    }
    child.stdin.end();
    const status = await ended;
    await stdout.closed;
    const [answer] = parseAnswers(stdout.text);
    if (answer && status.code === 0) return answer;
    const end = status.signal ?? `status ${status.code}`;
    throw new RuntimeError(
      "internal",
      `kobako-unpack ended with ${end}: ${stderr?.text.slice(0, 500) ?? ""}`,
    );
  } finally {
    child.stdin.destroy();
    child.stdout.destroy();
    child.stderr?.destroy();
  }
}

/**
 * Hands the source's bytes on, no faster than they are unpacked. Ends early, without an error, when the child has
 * ended: its answer says why.
 */
async function feed(
  { stdin }: Child,
  source: LayerSource,
  ended: AbortSignal,
  onProgress: (bytes: number) => void,
): Promise<void> {
  let bytes = 0;
  try {
    for await (const chunk of source.open(ended)) {
      if (ended.aborted) return;
      bytes += chunk.byteLength;
      if (!stdin.write(chunk)) await writable(stdin, ended);
      onProgress(bytes);
    }
  } catch (error) {
    // Else our own signal ended the source: the child's answer, or the caller's cancel, is the reason.
    if (!ended.aborted) throw error;
  }
}

/** Resolves when `stream` takes more, or never will. */
function writable(stream: Writable, ended: AbortSignal): Promise<void> {
  if (ended.aborted || stream.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      stream.off("drain", done);
      stream.off("close", done);
      ended.removeEventListener("abort", done);
      resolve();
    };
    stream.on("drain", done);
    stream.on("close", done);
    ended.addEventListener("abort", done);
  });
}

interface Collected {
  text: string;
  readonly closed: Promise<void>;
}

function collect(stream: Readable): Collected {
  const closed = Promise.withResolvers<void>();
  const collected: Collected = { text: "", closed: closed.promise };
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    collected.text += chunk.slice(0, Math.max(0, outputMaxBytes - collected.text.length));
  });
  stream.on("error", () => {});
  stream.once("close", closed.resolve);
  return collected;
}
