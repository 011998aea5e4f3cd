/**
 * The daemon's log: one JSON object per line (pino), written at once.
 *
 * Enters: a level and a destination. Leaves: a `Log`, handed down to every room; rooms add their own fields by
 * `log.child({ room: "network" })`.
 * Writes are synchronous: a line that was logged is not lost when the daemon is killed a moment later, and there is
 * no buffer that could grow. A destination that fails (full disk, closed pipe) is dropped, never waited for.
 * Never: secrets. Names that carry them in the CRI's messages are redacted here as a second line of defence; the
 * first is that no request or response is logged at all.
 */
import { pino, destination } from "pino";
import type { Logger, DestinationStream } from "pino";
import { RuntimeError, errorKind, errorText } from "../errors/runtime-error.ts";

export type Log = Logger;

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

const secretNames = [
  "password",
  "auth",
  "identityToken",
  "registryToken",
  "credentials",
  "authorization",
  "token",
];

/** The longest error text in a line. Messages may hold what a client sent. */
const maxErrorChars = 2048;

/**
 * An error as fields: its kind, its sentence with those of its causes, its subject. The stack only of what nobody
 * foresaw: it is what one needs to find a bug, and noise otherwise.
 */
function errorFields(error: unknown): Record<string, unknown> {
  const kind = errorKind(error);
  return {
    kind,
    message: errorText(error).slice(0, maxErrorChars),
    ...(error instanceof RuntimeError && Object.keys(error.subject).length > 0
      ? { subject: error.subject }
      : {}),
    ...(kind === "internal" && error instanceof Error
      ? { stack: error.stack?.slice(0, 2 * maxErrorChars) }
      : {}),
  };
}

/**
 * Opens a log. `file` is appended to (mode 0640); without it, standard error is written, which systemd gives to
 * the journal. `stream` is for tests.
 */
export function createLogger(o: {
  level: LogLevel;
  file?: string | undefined;
  stream?: DestinationStream;
}): Log {
  const to =
    o.stream ?? destination({ dest: o.file ?? 2, sync: true, append: true, mkdir: false, mode: 0o640 });
  // Without a listener a write error would end the process: a full disk must cost the line, not the daemon.
  (to as Partial<NodeJS.EventEmitter>).on?.("error", () => {});
  return pino(
    {
      level: o.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretNames.flatMap((name) => [name, `*.${name}`]), censor: "[secret]" },
      serializers: { error: errorFields, err: errorFields },
    },
    to,
  );
}
