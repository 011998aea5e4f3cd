/** A remote command's client, whatever protocol it speaks. */
import type { Inbox } from "../inbox.ts";
import type { CommandStatus } from "./status.ts";

/** What a command's client asked for. */
export interface CommandStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

export interface CommandChannel {
  /** Ends when the client says so; undefined when it was not asked for. */
  readonly stdin: Inbox | undefined;
  /** Sizes of the terminal; undefined without one. */
  readonly sizes: Inbox | undefined;
  /** Settles when the client is gone; undefined: it left in order. Never rejects. */
  readonly gone: Promise<Error | undefined>;
  /** Sends output, waiting for room. Output that was not asked for is dropped. */
  write(stream: "stdout" | "stderr", data: Buffer): Promise<void>;
  /** The last word: the output ends, the client is told how, the connection is closed. */
  finish(status: CommandStatus): Promise<void>;
}
