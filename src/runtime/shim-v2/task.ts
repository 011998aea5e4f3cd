/** A shim's task API: one method per verb, each with its deadline. Versions 2 and 3 differ in the service's name only. */
import type { OciProcess, OciResources } from "../../oci/runtime-spec.ts";
import type { Caller } from "../../ttrpc/call.ts";
import { TtrpcClient } from "../../ttrpc/client.ts";
import * as api from "../../ttrpc/message.ts";
import type { ShimAddress } from "./bootstrap.ts";

const { Empty } = api;

/** Of one process: a container's first, or an exec. */
export interface ProcessRef {
  readonly id: string;
  readonly execId?: string;
}

export class Task {
  #client: TtrpcClient;
  readonly #address: ShimAddress;
  readonly #service: string;
  readonly #namespace: string;
  readonly #timeoutMs: number;
  readonly #lasting: ((container: string) => Caller) | undefined;

  private constructor(
    client: TtrpcClient,
    address: ShimAddress,
    namespace: string,
    timeoutMs: number,
    lasting: ((container: string) => Caller) | undefined,
  ) {
    this.#client = client;
    this.#address = address;
    this.#lasting = lasting;
    this.#service = api.service.task(address.version);
    this.#namespace = namespace;
    this.#timeoutMs = timeoutMs;
  }

  /** `lasting`: who makes the calls that must not end with this process; undefined: none of them will be made. */
  static async connect(
    address: ShimAddress,
    namespace: string,
    timeoutMs: number,
    signal: AbortSignal,
    lasting?: (container: string) => Caller,
  ): Promise<Task> {
    const client = await TtrpcClient.connect(address.path, signal);
    return new Task(client, address, namespace, timeoutMs, lasting);
  }

  /** Settles when the present connection to the shim ended. Never rejects. */
  get closed(): Promise<Error | undefined> {
    return this.#client.closed;
  }

  /** A new connection, in place of the one that ended. */
  async reconnect(signal: AbortSignal): Promise<void> {
    this.#client.close();
    this.#client = await TtrpcClient.connect(this.#address.path, signal);
  }

  close(): void {
    this.#client.close();
  }

  /** Asks the shim who it is: what answers garbage here is no shim. */
  connectTask(id: string, signal: AbortSignal): Promise<api.ConnectResponse> {
    return this.#call("Connect", api.TaskRequest, api.ConnectResponse, { id }, signal);
  }
  state(process: ProcessRef, signal: AbortSignal): Promise<api.StateResponse> {
    return this.#call("State", api.ProcessRequest, api.StateResponse, process, signal);
  }
  create(request: api.CreateTaskRequestInit, signal: AbortSignal): Promise<api.CreateTaskResponse> {
    return this.#by(
      this.#callerFor(request.id ?? ""),
      "Create",
      api.CreateTaskRequest,
      api.CreateTaskResponse,
      request,
      signal,
    );
  }
  start(process: ProcessRef, signal: AbortSignal): Promise<api.StartResponse> {
    // An exec ends with the daemon anyway.
    const caller = process.execId === undefined ? this.#callerFor(process.id) : this.#client;
    return this.#by(caller, "Start", api.ProcessRequest, api.StartResponse, process, signal);
  }
  delete(process: ProcessRef, signal: AbortSignal): Promise<api.DeleteResponse> {
    // Half of a container's is worse than none: gVisor's shim can't do the rest.
    const caller = process.execId === undefined ? this.#callerFor(process.id) : this.#client;
    return this.#by(caller, "Delete", api.ProcessRequest, api.DeleteResponse, process, signal);
  }
  /** Settles when the process has ended: `forMs` may be long. */
  wait(process: ProcessRef, forMs: number, signal: AbortSignal): Promise<api.WaitResponse> {
    return this.#call("Wait", api.ProcessRequest, api.WaitResponse, process, signal, forMs);
  }
  async kill(
    process: ProcessRef,
    signalNumber: number,
    everyone: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const request = { ...process, signal: signalNumber, all: everyone };
    await this.#call("Kill", api.KillRequest, Empty, request, signal);
  }
  async exec(
    request: Omit<api.ExecProcessRequestInit, "spec">,
    process: OciProcess,
    signal: AbortSignal,
  ): Promise<void> {
    const spec = api.anyJson(api.typeUrl.process, process);
    await this.#call("Exec", api.ExecProcessRequest, Empty, { ...request, spec }, signal);
  }
  async resizePty(process: ProcessRef, width: number, height: number, signal: AbortSignal): Promise<void> {
    await this.#call("ResizePty", api.ResizePtyRequest, Empty, { ...process, width, height }, signal);
  }
  async closeStdin(process: ProcessRef, signal: AbortSignal): Promise<void> {
    await this.#call("CloseIO", api.CloseIoRequest, Empty, { ...process, stdin: true }, signal);
  }
  async update(id: string, resources: OciResources, signal: AbortSignal): Promise<void> {
    const any = api.anyJson(api.typeUrl.resources, resources);
    await this.#call("Update", api.UpdateTaskRequest, Empty, { id, resources: any }, signal);
  }
  /** To its end, as `resume`: half of one leaves runc's shim in the belief that nothing is paused. */
  async pause(id: string, signal: AbortSignal): Promise<void> {
    await this.#by(this.#callerFor(id), "Pause", api.TaskRequest, Empty, { id }, signal);
  }
  async resume(id: string, signal: AbortSignal): Promise<void> {
    await this.#by(this.#callerFor(id), "Resume", api.TaskRequest, Empty, { id }, signal);
  }
  async checkpoint(
    request: api.CheckpointTaskRequestInit,
    forMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const caller = this.#callerFor(request.id ?? "");
    await this.#by(caller, "Checkpoint", api.CheckpointTaskRequest, Empty, request, signal, forMs);
  }
  /** Numbers in the shim's own counting: they are pids of the host only for some. */
  async pids(id: string, signal: AbortSignal): Promise<number[]> {
    const { processes } = await this.#call("Pids", api.TaskRequest, api.PidsResponse, { id }, signal);
    return processes.map(({ pid }) => pid);
  }
  async stats(id: string, signal: AbortSignal): Promise<api.Any | undefined> {
    return (await this.#call("Stats", api.TaskRequest, api.StatsResponse, { id }, signal)).stats;
  }
  async shutdown(id: string, now: boolean, signal: AbortSignal): Promise<void> {
    await this.#call("Shutdown", api.ShutdownRequest, Empty, { id, now }, signal);
  }

  #callerFor(container: string): Caller {
    return this.#lasting?.(container) ?? this.#client;
  }

  #call<Req, ReqInit, Res, ResInit>(
    method: string,
    request: api.Codec<Req, ReqInit>,
    response: api.Codec<Res, ResInit>,
    message: ReqInit,
    signal: AbortSignal,
    timeoutMs = this.#timeoutMs,
  ): Promise<Res> {
    return this.#by(this.#client, method, request, response, message, signal, timeoutMs);
  }

  #by<Req, ReqInit, Res, ResInit>(
    caller: Caller,
    method: string,
    request: api.Codec<Req, ReqInit>,
    response: api.Codec<Res, ResInit>,
    message: ReqInit,
    signal: AbortSignal,
    timeoutMs = this.#timeoutMs,
  ): Promise<Res> {
    return caller.call(this.#service, method, request, response, message, {
      timeoutMs,
      signal,
      metadata: { "containerd-namespace-ttrpc": this.#namespace },
    });
  }
}
