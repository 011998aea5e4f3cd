/** Clients of the streaming server that do as they are told, also what no honest client does. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { SpdyClient } from "../../src/streaming/spdy/client.fixture.ts";
import { clientFrame } from "../../src/streaming/websocket/frame.fixture.ts";
import { opcode } from "../../src/streaming/websocket/frame.ts";

const headEnd = Buffer.from("\r\n\r\n");

/** A connection to the server of `url`, with what came on it. */
export class RawConnection implements Disposable {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  #bytes = Buffer.alloc(0);

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.socket = connect({ port: Number(port), host: hostname });
    this.socket.on("error", () => {});
    this.closed = new Promise((resolve) => this.socket.once("close", () => resolve()));
  }

  /** Sends a request and returns the head of its answer; what follows is left in the socket. */
  async request(lines: readonly string[]): Promise<string> {
    this.socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    for (;;) {
      const end = this.#bytes.indexOf(headEnd);
      if (end >= 0) {
        const head = this.#bytes.subarray(0, end).toString();
        this.socket.unshift(this.#bytes.subarray(end + 4));
        return head;
      }
      const bytes = this.socket.read() as Buffer | null;
      if (bytes !== null) this.#bytes = Buffer.concat([this.#bytes, bytes]);
      else if (this.socket.destroyed || this.socket.readableEnded) return this.#bytes.toString();
      else await Promise.race([once(this.socket, "readable"), this.closed]);
    }
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

export interface RequestOptions {
  readonly method?: string;
  readonly host?: string;
  readonly protocols?: readonly string[];
  readonly headers?: readonly string[];
}

export function upgradeLines(url: string, to: "spdy" | "websocket", o: RequestOptions = {}): string[] {
  const { pathname, host } = new URL(url);
  const { method = to === "spdy" ? "POST" : "GET", protocols = ["v4.channel.k8s.io"] } = o;
  const common = [`${method} ${pathname} HTTP/1.1`, `Host: ${o.host ?? host}`, "Connection: Upgrade"];
  const own =
    to === "spdy"
      ? ["Upgrade: SPDY/3.1", ...protocols.map((name) => `X-Stream-Protocol-Version: ${name}`)]
      : [
          "Upgrade: websocket",
          "Sec-WebSocket-Version: 13",
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
          ...(protocols.length > 0 ? [`Sec-WebSocket-Protocol: ${protocols.join(", ")}`] : []),
        ];
  return [...common, ...own, ...(o.headers ?? [])];
}

export interface Spdy extends Disposable {
  readonly client: SpdyClient;
  readonly connection: RawConnection;
}

/** An upgraded SPDY connection. `read: false`: one that is not read from. */
export async function spdy(url: string, o: RequestOptions & { read?: boolean } = {}): Promise<Spdy> {
  const connection = new RawConnection(url);
  const head = await connection.request(upgradeLines(url, "spdy", o));
  if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(head);
  const client = new SpdyClient((bytes) => connection.socket.write(bytes));
  if (o.read !== false) connection.socket.on("data", (bytes: Buffer) => client.feed(bytes));
  return { client, connection, [Symbol.dispose]: () => connection[Symbol.dispose]() };
}

/** The streams of a command, opened in order. */
export async function openStreams<T extends string>(
  { client }: Spdy,
  ...types: readonly T[]
): Promise<Record<T, number>> {
  const ids = types.map((type) => [type, client.open({ streamtype: type })] as const);
  await client.until(() => ids.every(([, id]) => client.replied.has(id)), "the replies to all streams");
  return Object.fromEntries(ids) as Record<T, number>;
}

/** A WebSocket client that keeps what each channel said. */
export class RawWebSocket implements Disposable {
  readonly connection: RawConnection;
  readonly channels = new Map<number, string>();
  closeCode: number | undefined;
  #bytes = Buffer.alloc(0);

  private constructor(connection: RawConnection) {
    this.connection = connection;
  }

  static async open(url: string, o: RequestOptions = {}): Promise<RawWebSocket> {
    const connection = new RawConnection(url);
    const head = await connection.request(upgradeLines(url, "websocket", o));
    if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(head);
    const socket = new RawWebSocket(connection);
    connection.socket.on("data", (bytes: Buffer) => socket.#feed(bytes));
    return socket;
  }

  send(channel: number, payload: Buffer | string = ""): void {
    this.raw(clientFrame(opcode.binary, Buffer.concat([Buffer.of(channel), Buffer.from(payload)])));
  }

  raw(bytes: Buffer): void {
    this.connection.socket.write(bytes);
  }

  [Symbol.dispose](): void {
    this.connection[Symbol.dispose]();
  }

  #feed(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    for (;;) {
      const short = (this.#bytes[1] ?? 0) & 0x7f;
      const at = short === 127 ? 10 : short === 126 ? 4 : 2;
      if (this.#bytes.length < at) return;
      const size =
        short === 127 ? this.#bytes.readUIntBE(4, 6) : short === 126 ? this.#bytes.readUInt16BE(2) : short;
      if (this.#bytes.length < at + size) return;
      const payload = this.#bytes.subarray(at, at + size);
      const code = (this.#bytes[0] ?? 0) & 0x0f;
      if (code === opcode.close) this.closeCode = payload.readUInt16BE(0);
      else if (code === opcode.binary) {
        const channel = payload[0] ?? -1;
        this.channels.set(
          channel,
          (this.channels.get(channel) ?? "") + payload.subarray(1).toString("latin1"),
        );
      }
      this.#bytes = this.#bytes.subarray(at + size);
    }
  }
}
