/** Exec, Attach and PortForward: each answers with a URL that is good for one connection. */
import type { runtimeService } from "../../cri-api/index.ts";
import { type ExecBases, execProcess } from "../container/exec.ts";
import type { ContainerLifecycle } from "../container/lifecycle.ts";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Collection } from "../store/collection.ts";
import type { StreamingServer } from "../streaming/server.ts";
import type { Handlers } from "./unary.ts";
import { idField } from "./wire/fields.ts";

export interface StreamingServiceDeps {
  readonly sandboxes: Collection<Sandbox>;
  readonly containerLifecycle: ContainerLifecycle;
  readonly execBases: ExecBases;
  readonly streaming: StreamingServer;
}

export function streamingHandlers(deps: StreamingServiceDeps): Handlers<typeof runtimeService> {
  const { sandboxes, containerLifecycle, execBases, streaming } = deps;
  return {
    async exec(request, signal) {
      const { tty, stdin, stdout, stderr } = request;
      const { container } = await containerLifecycle.running(
        idField("container_id", request.containerId),
        signal,
      );
      const process = execProcess(container, execBases, request.cmd, tty);
      const containerId = container.id;
      // The container is looked up again when the client comes: it may have ended meanwhile.
      const open = async (client: AbortSignal) => {
        const { connection } = await containerLifecycle.running(containerId, client);
        return await connection.exec({ containerId, process, tty, stdin, timeoutMs: 0 }, client);
      };
      return { url: streaming.exec({ containerId, tty, stdin, stdout, stderr, open }) };
    },

    async attach(request, signal) {
      // As the request has them, also the terminal: they tell which streams the client is about to open.
      const { tty, stdin, stdout, stderr } = request;
      const { container } = await containerLifecycle.running(
        idField("container_id", request.containerId),
        signal,
      );
      const containerId = container.id;
      const open = async (client: AbortSignal) => {
        const { connection } = await containerLifecycle.running(containerId, client);
        return await connection.attach({ containerId, stdin }, client);
      };
      return { url: streaming.attach({ containerId, tty, stdin, stdout, stderr, open }) };
    },

    async portForward(request) {
      const sandbox = sandboxes.findByPrefix(idField("pod_sandbox_id", request.podSandboxId));
      if (sandbox === undefined)
        throw new RuntimeError("not-found", `sandbox ${request.podSandboxId} does not exist`);
      if (sandbox.state !== "ready") {
        throw new RuntimeError(
          "failed-precondition",
          `sandbox ${sandbox.id} is ${sandbox.state}: ports are forwarded into a ready one`,
        );
      }
      return { url: streaming.portForward({ sandboxId: sandbox.id, ports: request.port }) };
    },
  };
}
