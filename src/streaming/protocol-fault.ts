import { RuntimeError } from "../errors/runtime-error.ts";

/** The client broke the protocol: its connection ends, nothing else. */
export function protocolFault(message: string, cause?: unknown): RuntimeError {
  return new RuntimeError("invalid-argument", message, { cause });
}

/** The client sent more than is taken at once. */
export function sizeFault(message: string): RuntimeError {
  return new RuntimeError("resource-exhausted", message);
}
