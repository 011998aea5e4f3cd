/**
 * The two framings of the monitor's socket: messages (u32 big-endian length, JSON) and, after an exec,
 * attach or port_forward, streams (u8 stream, u32 big-endian length, bytes). Pure: bytes in, frames out.
 */
import { RuntimeError } from "../../errors/runtime-error.ts";

/** Largest message either side sends. Source: the monitor protocol, version 1. */
export const maxMessageBytes = 1 << 20;
/** Largest stream frame accepted from a monitor. */
export const maxStreamFrameBytes = 1 << 20;

export const messageHeaderBytes = 4;
export const streamHeaderBytes = 5;

/** Numbers of the streams of an exec or attach connection. */
export const streamId = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4 } as const;
/** Of a forwarded port: to the pod, and from it. An empty frame ends the direction. */
export const portStreamId = { up: 0, down: 1 } as const;

/** One message as bytes. @throws RuntimeError `resource-exhausted` when it is larger than the protocol allows. */
export function encodeMessage(value: unknown): Buffer {
  const text = JSON.stringify(value);
  const size = Buffer.byteLength(text);
  if (size > maxMessageBytes) {
    throw new RuntimeError(
      "resource-exhausted",
      `request of ${size} bytes is larger than the ${maxMessageBytes} that the monitor takes`,
    );
  }
  const frame = Buffer.allocUnsafe(messageHeaderBytes + size);
  frame.writeUInt32BE(size, 0);
  frame.write(text, messageHeaderBytes);
  return frame;
}

/** The header that goes before `size` bytes of `stream`. */
export function encodeStreamHeader(stream: number, size: number): Buffer {
  const header = Buffer.allocUnsafe(streamHeaderBytes);
  header[0] = stream;
  header.writeUInt32BE(size, 1);
  return header;
}

/** Takes one frame (`tag`: its stream, 0 for messages). `bytes` is valid only during the call; false: stop here. */
export type OnFrame = (tag: number, bytes: Buffer) => boolean | undefined;

/**
 * Cuts a byte stream into frames. Holds no memory between whole frames; a partial one is copied, as
 * the buffers it is fed with are reused.
 */
export class FrameReader {
  #headerBytes: number;
  #maxBytes: number;
  /** Header and body of the frame under way; undefined between frames. */
  #partial: Buffer | undefined;
  #have = 0;

  /** `headerBytes`: 4 for messages, 5 for streams (the tag first). */
  constructor(headerBytes: 4 | 5, maxBytes: number) {
    this.#headerBytes = headerBytes;
    this.#maxBytes = maxBytes;
  }

  /** Whether a frame has begun and not ended. */
  get pending(): boolean {
    return this.#partial !== undefined;
  }

  /**
   * Takes the next bytes and calls `onFrame` for each frame that is whole now.
   * `onFrame` may return false to stop: the number of bytes consumed is returned.
   * @throws RuntimeError `internal` when a frame says that it is larger than the cap.
   */
  feed(input: Buffer, onFrame: OnFrame): number {
    let at = 0;
    while (at < input.length) {
      if (!this.#partial && input.length - at >= this.#headerBytes) {
        const size = this.#bodySize(input, at);
        const end = at + this.#headerBytes + size;
        if (end <= input.length) {
          const tag = this.#headerBytes === 5 ? (input[at] ?? 0) : 0;
          const start = at + this.#headerBytes;
          at = end;
          if (onFrame(tag, input.subarray(start, end)) === false) return at;
          continue;
        }
      }
      at += this.#gather(input, at);
      const whole = this.#takeWhole();
      if (whole && onFrame(whole.tag, whole.bytes) === false) return at;
    }
    return at;
  }

  #bodySize(buffer: Buffer, at: number): number {
    const size = buffer.readUInt32BE(at + this.#headerBytes - 4);
    if (size > this.#maxBytes) {
      throw new RuntimeError(
        "internal",
        `monitor sent a frame of ${size} bytes, at most ${this.#maxBytes} expected`,
      );
    }
    return size;
  }

  /** Copies as much as the frame under way still wants. Returns how much. */
  #gather(input: Buffer, at: number): number {
    this.#partial ??= Buffer.allocUnsafeSlow(this.#headerBytes);
    const wanted = this.#partial.length - this.#have;
    const taken = Math.min(wanted, input.length - at);
    input.copy(this.#partial, this.#have, at, at + taken);
    this.#have += taken;
    if (this.#have === this.#headerBytes && this.#partial.length === this.#headerBytes) {
      const size = this.#bodySize(this.#partial, 0);
      if (size > 0) {
        const grown = Buffer.allocUnsafeSlow(this.#headerBytes + size);
        this.#partial.copy(grown);
        this.#partial = grown;
      }
    }
    return taken;
  }

  #takeWhole(): { tag: number; bytes: Buffer } | undefined {
    const frame = this.#partial;
    if (!frame || this.#have < this.#headerBytes) return undefined;
    if (this.#have !== this.#headerBytes + this.#bodySize(frame, 0)) return undefined;
    this.#partial = undefined;
    this.#have = 0;
    return { tag: this.#headerBytes === 5 ? (frame[0] ?? 0) : 0, bytes: frame.subarray(this.#headerBytes) };
  }
}
