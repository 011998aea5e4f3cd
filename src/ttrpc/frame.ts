/**
 * ttrpc's frames: u32 length of the data, u32 stream, u8 type, u8 flags, data; numbers big-endian. Pure.
 * Source: github.com/containerd/ttrpc, PROTOCOL.md 1.2.
 */
import { RuntimeError } from "../errors/runtime-error.ts";

export const headerBytes = 10;
/** Most data of one frame; the protocol's own limit. */
export const maxDataBytes = 4 << 20;

export const frameType = { request: 1, response: 2, data: 3 } as const;
/** Of requests and data. Requests without flags are unary. */
export const flag = { remoteClosed: 1, remoteOpen: 2, noData: 4 } as const;

export interface Frame {
  readonly stream: number;
  readonly type: number;
  readonly flags: number;
  /** Valid only during the call. */
  readonly data: Buffer;
}

/** @throws RuntimeError `resource-exhausted` for more than a frame may hold. */
export function encodeFrame(stream: number, type: number, flags: number, data: Uint8Array): Buffer {
  if (data.length > maxDataBytes) {
    throw new RuntimeError(
      "resource-exhausted",
      `message of ${data.length} bytes is larger than the ${maxDataBytes} that ttrpc takes`,
    );
  }
  const frame = Buffer.allocUnsafe(headerBytes + data.length);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(stream, 4);
  frame[8] = type;
  frame[9] = flags;
  frame.set(data, headerBytes);
  return frame;
}

/** Cuts bytes into frames. Memory grows with what has come, never with what a header promises. */
export class FrameParser {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #have = 0;
  /** Bytes of the frame under way with its header; 0: its header is not whole yet. */
  #need = 0;

  constructor(maxBytes = maxDataBytes) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Takes bytes (they may be reused afterwards) and calls `onFrame` for each frame that is whole now.
   * @throws RuntimeError `internal` for a frame of another type, or one that is too large.
   */
  feed(input: Buffer, onFrame: (frame: Frame) => void): void {
    let rest = input;
    if (this.#have > 0) {
      this.#chunks.push(Buffer.from(input));
      this.#have += input.length;
      if (this.#have < Math.max(this.#need, headerBytes)) return;
      rest = Buffer.concat(this.#chunks, this.#have);
      this.#chunks = [];
      this.#have = 0;
    }
    this.#need = 0;
    while (rest.length >= headerBytes) {
      const length = rest.readUInt32BE(0);
      const type = rest.readUInt8(8);
      if (length > this.#maxBytes)
        throw new RuntimeError("internal", `frame of ${length} bytes, at most ${this.#maxBytes} are taken`);
      if (type < frameType.request || type > frameType.data)
        throw new RuntimeError("internal", `frame of type ${type}, which ttrpc does not have`);
      const end = headerBytes + length;
      if (rest.length < end) {
        this.#need = end;
        break;
      }
      onFrame({
        stream: rest.readUInt32BE(4),
        type,
        flags: rest.readUInt8(9),
        data: rest.subarray(headerBytes, end),
      });
      rest = rest.subarray(end);
    }
    if (rest.length > 0) {
      this.#chunks.push(Buffer.from(rest));
      this.#have = rest.length;
    }
  }
}
