/** The server's side of one WebSocket: messages in pieces, answers to pings, the closing handshake. */
import { errorKind } from "../../errors/runtime-error.ts";
import { protocolFault } from "../protocol-fault.ts";
import type { Transport } from "../transport.ts";
import { closeCode, closeFrame, FrameParser, frameHeader, opcode } from "./frame.ts";

export interface WebSocketEvents {
  /** A piece of a message. A throw ends the connection with its message as the reason. */
  message(piece: Buffer, first: boolean, last: boolean): void;
  /** Called once. undefined: the client closed it in order, or `close` was called. */
  closed(fault: Error | undefined): void;
}

export class WebSocketConnection {
  readonly #transport: Transport;
  readonly #events: WebSocketEvents;
  readonly #parser: FrameParser;
  #state: "open" | "closing" | "closed" = "open";

  constructor(transport: Transport, events: WebSocketEvents) {
    this.#transport = transport;
    this.#events = events;
    this.#parser = new FrameParser({
      message: (piece, first, last) => {
        if (this.#state === "open") events.message(piece, first, last);
      },
      control: (code, payload) => this.#control(code, payload),
    });
  }

  start(): void {
    this.#transport.start({
      data: (bytes) => this.#received(bytes),
      closed: (fault) => this.#closed(fault),
    });
  }

  /** Sends `parts` as one binary message. Never waits; see `Transport.room`. */
  send(...parts: readonly Uint8Array[]): void {
    if (this.#state !== "open") return;
    let size = 0;
    for (const part of parts) size += part.length;
    this.#transport.write(frameHeader(opcode.binary, size), ...parts);
  }

  ping(): void {
    if (this.#state === "open" && !this.#transport.congested)
      this.#transport.write(frameHeader(opcode.ping, 0));
  }

  /** Says goodbye after all that was sent. */
  close(code: number = closeCode.normal, reason = "", hurry = false): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#transport.write(closeFrame(code, reason));
    this.#transport.end(hurry);
  }

  destroy(fault?: Error): void {
    this.#transport.destroy(fault);
  }

  #received(bytes: Buffer): void {
    if (this.#state !== "open") return;
    try {
      this.#parser.feed(bytes);
    } catch (error) {
      const fault = error instanceof Error ? error : protocolFault(String(error));
      const tooMuch = errorKind(fault) === "resource-exhausted";
      this.close(tooMuch ? closeCode.tooBig : closeCode.protocolError, fault.message, true);
      this.#closed(fault);
    }
  }

  #control(code: number, payload: Buffer): void {
    if (this.#state !== "open") return;
    if (code === opcode.ping) {
      // Copied: the frame waits in the socket's queue, the buffer it came in is read into again.
      this.#transport.write(frameHeader(opcode.pong, payload.length), Buffer.from(payload));
    } else if (code === opcode.close) {
      this.close(closeCode.normal, "", true);
      this.#closed(undefined);
    }
  }

  #closed(fault: Error | undefined): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#events.closed(fault);
  }
}
