/** HTTP/2 frames by hand (RFC 9113), for what no client library sends. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

export const frameType = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  ping: 6,
  windowUpdate: 8,
  continuation: 9,
} as const;
export const endStream = 0x1;
export const endHeaders = 0x4;

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header block without compression: each a literal that is not indexed (RFC 7541, 6.2.2). */
export function headerBlock(headers: Readonly<Record<string, string>>): Buffer {
  const text = (value: string) => {
    const bytes = Buffer.from(value, "latin1");
    if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
    const length: number[] = [127];
    let rest = bytes.length - 127;
    for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
    return Buffer.concat([Buffer.from([...length, rest]), bytes]);
  };
  return Buffer.concat(
    Object.entries(headers).flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]),
  );
}

export function requestHeaders(path: string, more: Readonly<Record<string, string>> = {}): Buffer {
  return headerBlock({
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": "x",
    "content-type": "application/grpc",
    te: "trailers",
    ...more,
  });
}

/** A connection past the preface and its settings. Data that comes is thrown away but its amount. */
export class RawConnection implements Disposable {
  readonly socket: Socket;
  closed = false;
  #writable = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
      this.#writable();
    });
    socket.on("drain", () => this.#writable());
    socket.resume();
  }

  static async open(path: string): Promise<RawConnection> {
    const socket = connect(path);
    await once(socket, "connect");
    const connection = new RawConnection(socket);
    await connection.write(
      Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(frameType.settings, 0, 0)]),
    );
    return connection;
  }

  /** Waits for room as a well-behaved writer does: the flood is as fast as the server takes it. */
  async write(bytes: Buffer): Promise<void> {
    if (this.closed || this.socket.write(bytes)) return;
    await new Promise<void>((resolve) => {
      this.#writable = resolve;
    });
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
