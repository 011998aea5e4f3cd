/**
 * How a command ended, as its client is told: an object of the kind Kubernetes calls Status, whose cause of type
 * ExitCode holds the number. Protocols before v4 have one line of text instead, and nothing for success.
 */
import { errorText } from "../../errors/runtime-error.ts";
import type { ProcessEnd } from "../../runtime/handler.ts";

export interface CommandStatus {
  readonly status: "Success" | "Failure";
  readonly message?: string;
  readonly reason?: "NonZeroExitCode" | "InternalError";
  readonly code?: number;
  readonly details?: { readonly causes: readonly { readonly reason: string; readonly message: string }[] };
}

/** Error texts may quote what a container said. */
const maxMessageChars = 2048;

export const success: CommandStatus = { status: "Success" };

/** The status of a command that ran. */
export function exitStatus(end: ProcessEnd): CommandStatus {
  if (end.exitCode === 0 && end.signal === 0) return success;
  const how = end.signal === 0 ? "" : ` (signal ${end.signal})`;
  return {
    status: "Failure",
    reason: "NonZeroExitCode",
    message: `command terminated with non-zero exit code: exit code ${end.exitCode}${how}`,
    details: { causes: [{ reason: "ExitCode", message: String(end.exitCode) }] },
  };
}

/** The status of a command that could not be run, or was lost. */
export function failureStatus(what: string, error: unknown): CommandStatus {
  return {
    status: "Failure",
    reason: "InternalError",
    message: `Internal error occurred: ${what}: ${errorText(error).slice(0, maxMessageChars)}`,
    code: 500,
  };
}

/** The bytes of the error stream. `structured`: v4 and later. */
export function statusBytes(status: CommandStatus, structured: boolean): Buffer {
  if (structured) return Buffer.from(JSON.stringify(status));
  return Buffer.from(status.status === "Success" ? "" : (status.message ?? ""));
}
