/**
 * Remote command over SPDY, protocols v1 to v4: one stream each for error, stdin, stdout, stderr and, since v3,
 * resize, all opened by the client and told apart by the header `streamType`.
 * v1 to v3 differ from v4 in the text of the error stream; what v1's servers got wrong is not imitated.
 */
import { RuntimeError } from "../../errors/runtime-error.ts";
import type { Inbox } from "../inbox.ts";
import type { Link } from "../link.ts";
import { SpdyConnection, type SpdyStream } from "../spdy/connection.ts";
import type { Transport } from "../transport.ts";
import type { CommandChannel, CommandStreams } from "./channel.ts";
import { type CommandStatus, statusBytes } from "./status.ts";

/** Newest first. */
export const spdyCommandProtocols = [
  "v4.channel.k8s.io",
  "v3.channel.k8s.io",
  "v2.channel.k8s.io",
  "channel.k8s.io",
] as const;
export type SpdyCommandProtocol = (typeof spdyCommandProtocols)[number];

const streamTypes = ["error", "stdin", "stdout", "stderr", "resize"] as const;
type StreamType = (typeof streamTypes)[number];

export class SpdyCommand implements CommandChannel, Link {
  /** Settles when every stream that the command needs is there; rejects when the client leaves before. */
  readonly ready: Promise<void>;
  readonly gone: Promise<Error | undefined>;
  readonly #connection: SpdyConnection;
  readonly #structured: boolean;
  readonly #wanted: ReadonlySet<StreamType>;
  readonly #streams = new Map<StreamType, SpdyStream>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #gone = Promise.withResolvers<Error | undefined>();

  constructor(
    transport: Transport,
    protocol: SpdyCommandProtocol,
    streams: CommandStreams,
    onActivity: () => void,
  ) {
    this.#structured = protocol === "v4.channel.k8s.io";
    const resizes = streams.tty && (this.#structured || protocol === "v3.channel.k8s.io");
    this.#wanted = new Set<StreamType>([
      "error",
      ...(streams.stdin ? (["stdin"] as const) : []),
      ...(streams.stdout ? (["stdout"] as const) : []),
      ...(streams.stderr ? (["stderr"] as const) : []),
      ...(resizes ? (["resize"] as const) : []),
    ]);
    this.ready = this.#ready.promise;
    this.gone = this.#gone.promise;
    this.ready.catch(() => {});
    this.#connection = new SpdyConnection(transport, {
      input: { streamBytes: 256 << 10, connectionBytes: 1 << 20 },
      maxStreams: streamTypes.length,
      maxRefusals: 256,
      onStream: (stream) => this.#take(stream),
      onActivity,
      onClosed: (fault) => {
        this.#ready.reject(
          fault ?? new RuntimeError("cancelled", "the client left before its streams were open"),
        );
        this.#gone.resolve(fault);
      },
    });
    this.#connection.start();
  }

  get stdin(): Inbox | undefined {
    return this.#wanted.has("stdin") ? this.#streams.get("stdin")?.input : undefined;
  }

  get sizes(): Inbox | undefined {
    return this.#wanted.has("resize") ? this.#streams.get("resize")?.input : undefined;
  }

  async write(stream: "stdout" | "stderr", data: Buffer): Promise<void> {
    if (this.#wanted.has(stream)) await this.#streams.get(stream)?.write(data);
  }

  async finish(status: CommandStatus): Promise<void> {
    for (const [type, stream] of this.#streams) if (type !== "error") stream.end();
    const error = this.#streams.get("error");
    await error?.write(statusBytes(status, this.#structured));
    error?.end();
    this.#connection.finish();
  }

  get inputPaused(): boolean {
    return this.#connection.inputPaused;
  }

  ping(): void {
    this.#connection.ping();
  }

  destroy(fault?: Error): void {
    this.#connection.destroy(fault);
  }

  #take(stream: SpdyStream): boolean {
    const type = streamTypes.find((known) => known === stream.headers.get("streamtype"));
    if (type === undefined || this.#streams.has(type)) return false;
    this.#streams.set(type, stream);
    // A stream that nobody asked for is opened and stays silent: some clients open all.
    if (!this.#wanted.has(type) || type === "error" || type === "stdout" || type === "stderr")
      stream.input.discard();
    void stream.accepted.then(() => {
      if ([...this.#wanted].every((wanted) => this.#streams.has(wanted))) this.#ready.resolve();
    });
    return true;
  }
}
