/** What a handler is made from. */
import type { Log } from "../log/log.ts";
import type { HandlerType } from "./handler.ts";
import type { LogFlush } from "./monitor/protocol.ts";
import type { UserNamespaces } from "./user-namespaces.ts";

/** One `[runtimes.NAME]`, as far as it concerns the handler itself. */
export interface HandlerSettings {
  readonly name: string;
  readonly type: HandlerType;
  /** Absolute path of its program; "" for `builtin`. */
  readonly path: string;
  /** Of the program, by name. */
  readonly options: Readonly<Record<string, string>>;
  /** How long one run of the program, or one call to it, may take. */
  readonly timeoutMs: number;
  /** Root filesystems are block devices of this size; undefined: overlay mounts. */
  readonly diskBytes?: number | undefined;
}

/** What all handlers of a node share. */
export interface HandlerTools {
  /** Absolute path of kobako-monitor. */
  readonly monitorBinary: string;
  /** Undefined: each line of a log is written at once. */
  readonly logFlush?: LogFlush | undefined;
  readonly userNamespaces: UserNamespaces;
  /** A folder below which programs keep what all pods of one handler may use; a reboot empties it. */
  readonly cacheFolder: string;
  readonly log: Log;
}

/** For a handler whose containers are made by a program of somebody else. */
export type ProgramHandlerOptions = Omit<HandlerSettings, "type"> &
  Omit<HandlerTools, "userNamespaces" | "cacheFolder"> & {
    /** undefined: none are offered. */
    readonly userNamespaces?: UserNamespaces | undefined;
  };
