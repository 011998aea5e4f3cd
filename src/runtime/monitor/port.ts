/**
 * A TCP connection into a pod as a stream of Node's: half-open, with the kernel's back-pressure in both directions.
 * The end of one direction leaves the other; what breaks either is an error of the stream.
 */
import { Duplex } from "node:stream";
import { RuntimeError } from "../../errors/runtime-error.ts";
import { portStreamId } from "./frames.ts";
import { type MonitorProcess, StreamConnection, type StreamEvents } from "./stream-connection.ts";

const noBytes = Buffer.alloc(0);
/** How long the monitor may take to hand the last bytes to a pod that is slow to read them. */
const lastBytesMs = 60_000;

/**
 * Connects to `port` on the loopback of the pod's network namespace, IPv4 first, then IPv6.
 * @throws RuntimeError `failed-precondition` when nobody listens there, `deadline-exceeded` when whoever
 * listens does not take it; `unavailable`, `not-found` when the monitor is gone.
 */
export async function openPort(
  runDir: string,
  monitor: MonitorProcess,
  port: number,
  signal: AbortSignal,
): Promise<Duplex> {
  const stream = new PodPort(port);
  const opened = StreamConnection.open(runDir, monitor, "port_forward", { port }, stream.events, signal);
  stream.begin((await opened).connection);
  return stream;
}

class PodPort extends Duplex {
  readonly events: StreamEvents;
  readonly #port: number;
  #connection: StreamConnection | undefined;
  #wantsMore = true;
  #downEnded = false;

  constructor(port: number) {
    // One frame at a time is held: a mark counts bytes, and single ones would cost hundreds each.
    super({ allowHalfOpen: true, readableHighWaterMark: 0, writableHighWaterMark: 64 << 10 });
    this.#port = port;
    // One may come before the caller has the stream; readers and writers hear of it all the same.
    this.on("error", () => {});
    this.events = {
      frame: (id, bytes) => this.#take(id, bytes),
      wantsMore: () => this.#wantsMore,
      closed: (fault) => this.#closed(fault),
    };
  }

  begin(connection: StreamConnection): void {
    this.#connection = connection;
  }

  override _read(): void {
    if (this.#wantsMore) return;
    this.#wantsMore = true;
    this.#connection?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const connection = this.#connection;
    if (connection === undefined || connection.send(portStreamId.up, chunk)) done();
    else void connection.writable().then(() => done());
  }

  override _final(done: (error?: Error | null) => void): void {
    const connection = this.#connection;
    connection?.send(portStreamId.up, noBytes);
    if (connection === undefined) done();
    else void connection.flushed().then(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (error === null && this.#downEnded && this.writableFinished) this.#connection?.leave(lastBytesMs);
    else this.#connection?.end();
    done(error);
  }

  #take(id: number, bytes: Buffer): boolean {
    if (id !== portStreamId.down || this.#downEnded) return true;
    if (bytes.length === 0) {
      this.#downEnded = true;
      this.push(null);
    } else {
      // Copied: the socket's buffer is shared and read into again.
      this.#wantsMore = this.push(Buffer.from(bytes));
    }
    return true;
  }

  /** The monitor ends the connection in order only when both directions have ended. */
  #closed(fault: RuntimeError | undefined): void {
    if (this.destroyed || (this.#downEnded && this.writableFinished)) return;
    this.destroy(
      new RuntimeError("unavailable", `port ${this.#port} of the pod broke the connection`, { cause: fault }),
    );
  }
}
