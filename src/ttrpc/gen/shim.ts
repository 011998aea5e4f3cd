// Made by hack/generate from src/ttrpc/shim.proto. Do not edit.
import { codec, emptyMap, ended, rBytes, rInt64, rMessage, rMessagesItem, rString, rStringMapItem, rStringsItem, rUint64, skip, wBool, wBytes, wInt32, wInt64, wMessage, wMessages, wString, wStringMap, wStrings, wUint32, wUint64 } from "../../../cri-api/wire.ts";
import type { Codec, Reader, Writer } from "../../../cri-api/wire.ts";

/** containerd.v1.types.Status */
export const TaskStatus = {
  TASK_UNKNOWN: 0,
  TASK_CREATED: 1,
  TASK_RUNNING: 2,
  TASK_STOPPED: 3,
  TASK_PAUSED: 4,
  TASK_PAUSING: 5,
} as const;
/** Any number: values of a newer client are kept. */
export type TaskStatus = number;

/** ttrpc.Request */
export interface Request {
  service: string;
  method: string;
  payload: Uint8Array;
  /** Nanoseconds that the caller waits; 0: for ever. */
  timeoutNano: bigint;
  metadata: KeyValue[];
}
export interface RequestInit {
  readonly service?: string | undefined;
  readonly method?: string | undefined;
  readonly payload?: Uint8Array | undefined;
  readonly timeoutNano?: bigint | undefined;
  readonly metadata?: readonly KeyValueInit[] | undefined;
}
function wRequest(w: Writer, m: RequestInit): void {
  wString(w, 10, m.service);
  wString(w, 18, m.method);
  wBytes(w, 26, m.payload);
  wInt64(w, 32, m.timeoutNano);
  wMessages(w, 42, wKeyValue, m.metadata);
}
function rRequest(r: Reader, end: number, m: Request = { service: "", method: "", payload: new Uint8Array(0), timeoutNano: 0n, metadata: [] }): Request {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.service = rString(r); break;
      case 18: m.method = rString(r); break;
      case 26: m.payload = rBytes(r); break;
      case 32: m.timeoutNano = rInt64(r); break;
      case 42: rMessagesItem(r, rKeyValue, m.metadata); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const Request: Codec<Request, RequestInit> = /* @__PURE__ */ codec("Request", wRequest, rRequest);

/** ttrpc.Response */
export interface Response {
  status?: Status | undefined;
  payload: Uint8Array;
}
export interface ResponseInit {
  readonly status?: StatusInit | undefined;
  readonly payload?: Uint8Array | undefined;
}
function wResponse(w: Writer, m: ResponseInit): void {
  wMessage(w, 10, wStatus, m.status);
  wBytes(w, 18, m.payload);
}
function rResponse(r: Reader, end: number, m: Response = { status: undefined, payload: new Uint8Array(0) }): Response {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.status = rMessage(r, rStatus, m.status); break;
      case 18: m.payload = rBytes(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const Response: Codec<Response, ResponseInit> = /* @__PURE__ */ codec("Response", wResponse, rResponse);

/** google.rpc.Status */
export interface Status {
  /** A gRPC code; 0: none. */
  code: number;
  message: string;
}
export interface StatusInit {
  readonly code?: number | undefined;
  readonly message?: string | undefined;
}
function wStatus(w: Writer, m: StatusInit): void {
  wInt32(w, 8, m.code);
  wString(w, 18, m.message);
}
function rStatus(r: Reader, end: number, m: Status = { code: 0, message: "" }): Status {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.code = r.int32(); break;
      case 18: m.message = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const Status: Codec<Status, StatusInit> = /* @__PURE__ */ codec("Status", wStatus, rStatus);

/** ttrpc.KeyValue */
export interface KeyValue {
  key: string;
  value: string;
}
export interface KeyValueInit {
  readonly key?: string | undefined;
  readonly value?: string | undefined;
}
function wKeyValue(w: Writer, m: KeyValueInit): void {
  wString(w, 10, m.key);
  wString(w, 18, m.value);
}
function rKeyValue(r: Reader, end: number, m: KeyValue = { key: "", value: "" }): KeyValue {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.key = rString(r); break;
      case 18: m.value = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const KeyValue: Codec<KeyValue, KeyValueInit> = /* @__PURE__ */ codec("KeyValue", wKeyValue, rKeyValue);

/** google.protobuf.Any */
export interface Any {
  typeUrl: string;
  value: Uint8Array;
}
export interface AnyInit {
  readonly typeUrl?: string | undefined;
  readonly value?: Uint8Array | undefined;
}
function wAny(w: Writer, m: AnyInit): void {
  wString(w, 10, m.typeUrl);
  wBytes(w, 18, m.value);
}
function rAny(r: Reader, end: number, m: Any = { typeUrl: "", value: new Uint8Array(0) }): Any {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.typeUrl = rString(r); break;
      case 18: m.value = rBytes(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const Any: Codec<Any, AnyInit> = /* @__PURE__ */ codec("Any", wAny, rAny);

/** google.protobuf.Timestamp */
export interface Timestamp {
  seconds: bigint;
  nanos: number;
}
export interface TimestampInit {
  readonly seconds?: bigint | undefined;
  readonly nanos?: number | undefined;
}
function wTimestamp(w: Writer, m: TimestampInit): void {
  wInt64(w, 8, m.seconds);
  wInt32(w, 16, m.nanos);
}
function rTimestamp(r: Reader, end: number, m: Timestamp = { seconds: 0n, nanos: 0 }): Timestamp {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.seconds = rInt64(r); break;
      case 16: m.nanos = r.int32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const Timestamp: Codec<Timestamp, TimestampInit> = /* @__PURE__ */ codec("Timestamp", wTimestamp, rTimestamp);

/** google.protobuf.Empty */
export type Empty = Record<never, never>;
export type EmptyInit = Record<never, never>;
function wEmpty(_w: Writer, _m: EmptyInit): void {
}
function rEmpty(r: Reader, end: number, m: Empty = {}): Empty {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const Empty: Codec<Empty, EmptyInit> = /* @__PURE__ */ codec("Empty", wEmpty, rEmpty);

/** containerd.types.Mount */
export interface Mount {
  type: string;
  source: string;
  target: string;
  options: string[];
}
export interface MountInit {
  readonly type?: string | undefined;
  readonly source?: string | undefined;
  readonly target?: string | undefined;
  readonly options?: readonly string[] | undefined;
}
function wMount(w: Writer, m: MountInit): void {
  wString(w, 10, m.type);
  wString(w, 18, m.source);
  wString(w, 26, m.target);
  wStrings(w, 34, m.options);
}
function rMount(r: Reader, end: number, m: Mount = { type: "", source: "", target: "", options: [] }): Mount {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.type = rString(r); break;
      case 18: m.source = rString(r); break;
      case 26: m.target = rString(r); break;
      case 34: rStringsItem(r, m.options); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const Mount: Codec<Mount, MountInit> = /* @__PURE__ */ codec("Mount", wMount, rMount);

/** containerd.task.v3.CreateTaskRequest */
export interface CreateTaskRequest {
  id: string;
  bundle: string;
  rootfs: Mount[];
  terminal: boolean;
  stdin: string;
  stdout: string;
  stderr: string;
  checkpoint: string;
  parentCheckpoint: string;
  options?: Any | undefined;
}
export interface CreateTaskRequestInit {
  readonly id?: string | undefined;
  readonly bundle?: string | undefined;
  readonly rootfs?: readonly MountInit[] | undefined;
  readonly terminal?: boolean | undefined;
  readonly stdin?: string | undefined;
  readonly stdout?: string | undefined;
  readonly stderr?: string | undefined;
  readonly checkpoint?: string | undefined;
  readonly parentCheckpoint?: string | undefined;
  readonly options?: AnyInit | undefined;
}
function wCreateTaskRequest(w: Writer, m: CreateTaskRequestInit): void {
  wString(w, 10, m.id);
  wString(w, 18, m.bundle);
  wMessages(w, 26, wMount, m.rootfs);
  wBool(w, 32, m.terminal);
  wString(w, 42, m.stdin);
  wString(w, 50, m.stdout);
  wString(w, 58, m.stderr);
  wString(w, 66, m.checkpoint);
  wString(w, 74, m.parentCheckpoint);
  wMessage(w, 82, wAny, m.options);
}
function rCreateTaskRequest(r: Reader, end: number, m: CreateTaskRequest = { id: "", bundle: "", rootfs: [], terminal: false, stdin: "", stdout: "", stderr: "", checkpoint: "", parentCheckpoint: "", options: undefined }): CreateTaskRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.bundle = rString(r); break;
      case 26: rMessagesItem(r, rMount, m.rootfs); break;
      case 32: m.terminal = r.bool(); break;
      case 42: m.stdin = rString(r); break;
      case 50: m.stdout = rString(r); break;
      case 58: m.stderr = rString(r); break;
      case 66: m.checkpoint = rString(r); break;
      case 74: m.parentCheckpoint = rString(r); break;
      case 82: m.options = rMessage(r, rAny, m.options); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const CreateTaskRequest: Codec<CreateTaskRequest, CreateTaskRequestInit> = /* @__PURE__ */ codec("CreateTaskRequest", wCreateTaskRequest, rCreateTaskRequest);

/** containerd.task.v3.CreateTaskResponse */
export interface CreateTaskResponse {
  pid: number;
}
export interface CreateTaskResponseInit {
  readonly pid?: number | undefined;
}
function wCreateTaskResponse(w: Writer, m: CreateTaskResponseInit): void {
  wUint32(w, 8, m.pid);
}
function rCreateTaskResponse(r: Reader, end: number, m: CreateTaskResponse = { pid: 0 }): CreateTaskResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.pid = r.uint32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const CreateTaskResponse: Codec<CreateTaskResponse, CreateTaskResponseInit> = /* @__PURE__ */ codec("CreateTaskResponse", wCreateTaskResponse, rCreateTaskResponse);

/** The request of State, Start, Delete and Wait: containerd.task.v3.StateRequest */
export interface ProcessRequest {
  id: string;
  /** Empty: the container's first process. */
  execId: string;
}
export interface ProcessRequestInit {
  readonly id?: string | undefined;
  readonly execId?: string | undefined;
}
function wProcessRequest(w: Writer, m: ProcessRequestInit): void {
  wString(w, 10, m.id);
  wString(w, 18, m.execId);
}
function rProcessRequest(r: Reader, end: number, m: ProcessRequest = { id: "", execId: "" }): ProcessRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.execId = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ProcessRequest: Codec<ProcessRequest, ProcessRequestInit> = /* @__PURE__ */ codec("ProcessRequest", wProcessRequest, rProcessRequest);

/** The request of Pids, Pause, Resume, Stats and Connect: containerd.task.v3.StatsRequest */
export interface TaskRequest {
  id: string;
}
export interface TaskRequestInit {
  readonly id?: string | undefined;
}
function wTaskRequest(w: Writer, m: TaskRequestInit): void {
  wString(w, 10, m.id);
}
function rTaskRequest(r: Reader, end: number, m: TaskRequest = { id: "" }): TaskRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const TaskRequest: Codec<TaskRequest, TaskRequestInit> = /* @__PURE__ */ codec("TaskRequest", wTaskRequest, rTaskRequest);

/** containerd.task.v3.StateResponse */
export interface StateResponse {
  id: string;
  bundle: string;
  pid: number;
  status: TaskStatus;
  stdin: string;
  stdout: string;
  stderr: string;
  terminal: boolean;
  exitStatus: number;
  exitedAt?: Timestamp | undefined;
  execId: string;
}
export interface StateResponseInit {
  readonly id?: string | undefined;
  readonly bundle?: string | undefined;
  readonly pid?: number | undefined;
  readonly status?: TaskStatus | undefined;
  readonly stdin?: string | undefined;
  readonly stdout?: string | undefined;
  readonly stderr?: string | undefined;
  readonly terminal?: boolean | undefined;
  readonly exitStatus?: number | undefined;
  readonly exitedAt?: TimestampInit | undefined;
  readonly execId?: string | undefined;
}
function wStateResponse(w: Writer, m: StateResponseInit): void {
  wString(w, 10, m.id);
  wString(w, 18, m.bundle);
  wUint32(w, 24, m.pid);
  wInt32(w, 32, m.status);
  wString(w, 42, m.stdin);
  wString(w, 50, m.stdout);
  wString(w, 58, m.stderr);
  wBool(w, 64, m.terminal);
  wUint32(w, 72, m.exitStatus);
  wMessage(w, 82, wTimestamp, m.exitedAt);
  wString(w, 90, m.execId);
}
function rStateResponse(r: Reader, end: number, m: StateResponse = { id: "", bundle: "", pid: 0, status: 0, stdin: "", stdout: "", stderr: "", terminal: false, exitStatus: 0, exitedAt: undefined, execId: "" }): StateResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.bundle = rString(r); break;
      case 24: m.pid = r.uint32(); break;
      case 32: m.status = r.int32(); break;
      case 42: m.stdin = rString(r); break;
      case 50: m.stdout = rString(r); break;
      case 58: m.stderr = rString(r); break;
      case 64: m.terminal = r.bool(); break;
      case 72: m.exitStatus = r.uint32(); break;
      case 82: m.exitedAt = rMessage(r, rTimestamp, m.exitedAt); break;
      case 90: m.execId = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StateResponse: Codec<StateResponse, StateResponseInit> = /* @__PURE__ */ codec("StateResponse", wStateResponse, rStateResponse);

/** containerd.task.v3.StartResponse */
export interface StartResponse {
  pid: number;
}
export interface StartResponseInit {
  readonly pid?: number | undefined;
}
function wStartResponse(w: Writer, m: StartResponseInit): void {
  wUint32(w, 8, m.pid);
}
function rStartResponse(r: Reader, end: number, m: StartResponse = { pid: 0 }): StartResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.pid = r.uint32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StartResponse: Codec<StartResponse, StartResponseInit> = /* @__PURE__ */ codec("StartResponse", wStartResponse, rStartResponse);

/** containerd.task.v3.DeleteResponse */
export interface DeleteResponse {
  pid: number;
  exitStatus: number;
  exitedAt?: Timestamp | undefined;
}
export interface DeleteResponseInit {
  readonly pid?: number | undefined;
  readonly exitStatus?: number | undefined;
  readonly exitedAt?: TimestampInit | undefined;
}
function wDeleteResponse(w: Writer, m: DeleteResponseInit): void {
  wUint32(w, 8, m.pid);
  wUint32(w, 16, m.exitStatus);
  wMessage(w, 26, wTimestamp, m.exitedAt);
}
function rDeleteResponse(r: Reader, end: number, m: DeleteResponse = { pid: 0, exitStatus: 0, exitedAt: undefined }): DeleteResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.pid = r.uint32(); break;
      case 16: m.exitStatus = r.uint32(); break;
      case 26: m.exitedAt = rMessage(r, rTimestamp, m.exitedAt); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const DeleteResponse: Codec<DeleteResponse, DeleteResponseInit> = /* @__PURE__ */ codec("DeleteResponse", wDeleteResponse, rDeleteResponse);

/** containerd.task.v3.ExecProcessRequest */
export interface ExecProcessRequest {
  id: string;
  execId: string;
  terminal: boolean;
  stdin: string;
  stdout: string;
  stderr: string;
  spec?: Any | undefined;
}
export interface ExecProcessRequestInit {
  readonly id?: string | undefined;
  readonly execId?: string | undefined;
  readonly terminal?: boolean | undefined;
  readonly stdin?: string | undefined;
  readonly stdout?: string | undefined;
  readonly stderr?: string | undefined;
  readonly spec?: AnyInit | undefined;
}
function wExecProcessRequest(w: Writer, m: ExecProcessRequestInit): void {
  wString(w, 10, m.id);
  wString(w, 18, m.execId);
  wBool(w, 24, m.terminal);
  wString(w, 34, m.stdin);
  wString(w, 42, m.stdout);
  wString(w, 50, m.stderr);
  wMessage(w, 58, wAny, m.spec);
}
function rExecProcessRequest(r: Reader, end: number, m: ExecProcessRequest = { id: "", execId: "", terminal: false, stdin: "", stdout: "", stderr: "", spec: undefined }): ExecProcessRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.execId = rString(r); break;
      case 24: m.terminal = r.bool(); break;
      case 34: m.stdin = rString(r); break;
      case 42: m.stdout = rString(r); break;
      case 50: m.stderr = rString(r); break;
      case 58: m.spec = rMessage(r, rAny, m.spec); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ExecProcessRequest: Codec<ExecProcessRequest, ExecProcessRequestInit> = /* @__PURE__ */ codec("ExecProcessRequest", wExecProcessRequest, rExecProcessRequest);

/** containerd.task.v3.ResizePtyRequest */
export interface ResizePtyRequest {
  id: string;
  execId: string;
  width: number;
  height: number;
}
export interface ResizePtyRequestInit {
  readonly id?: string | undefined;
  readonly execId?: string | undefined;
  readonly width?: number | undefined;
  readonly height?: number | undefined;
}
function wResizePtyRequest(w: Writer, m: ResizePtyRequestInit): void {
  wString(w, 10, m.id);
  wString(w, 18, m.execId);
  wUint32(w, 24, m.width);
  wUint32(w, 32, m.height);
}
function rResizePtyRequest(r: Reader, end: number, m: ResizePtyRequest = { id: "", execId: "", width: 0, height: 0 }): ResizePtyRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.execId = rString(r); break;
      case 24: m.width = r.uint32(); break;
      case 32: m.height = r.uint32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ResizePtyRequest: Codec<ResizePtyRequest, ResizePtyRequestInit> = /* @__PURE__ */ codec("ResizePtyRequest", wResizePtyRequest, rResizePtyRequest);

/** containerd.task.v3.CloseIORequest */
export interface CloseIoRequest {
  id: string;
  execId: string;
  stdin: boolean;
}
export interface CloseIoRequestInit {
  readonly id?: string | undefined;
  readonly execId?: string | undefined;
  readonly stdin?: boolean | undefined;
}
function wCloseIoRequest(w: Writer, m: CloseIoRequestInit): void {
  wString(w, 10, m.id);
  wString(w, 18, m.execId);
  wBool(w, 24, m.stdin);
}
function rCloseIoRequest(r: Reader, end: number, m: CloseIoRequest = { id: "", execId: "", stdin: false }): CloseIoRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.execId = rString(r); break;
      case 24: m.stdin = r.bool(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const CloseIoRequest: Codec<CloseIoRequest, CloseIoRequestInit> = /* @__PURE__ */ codec("CloseIoRequest", wCloseIoRequest, rCloseIoRequest);

/** containerd.task.v3.KillRequest */
export interface KillRequest {
  id: string;
  execId: string;
  signal: number;
  all: boolean;
}
export interface KillRequestInit {
  readonly id?: string | undefined;
  readonly execId?: string | undefined;
  readonly signal?: number | undefined;
  readonly all?: boolean | undefined;
}
function wKillRequest(w: Writer, m: KillRequestInit): void {
  wString(w, 10, m.id);
  wString(w, 18, m.execId);
  wUint32(w, 24, m.signal);
  wBool(w, 32, m.all);
}
function rKillRequest(r: Reader, end: number, m: KillRequest = { id: "", execId: "", signal: 0, all: false }): KillRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.execId = rString(r); break;
      case 24: m.signal = r.uint32(); break;
      case 32: m.all = r.bool(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const KillRequest: Codec<KillRequest, KillRequestInit> = /* @__PURE__ */ codec("KillRequest", wKillRequest, rKillRequest);

/** containerd.v1.types.ProcessInfo */
export interface ProcessInfo {
  pid: number;
}
export interface ProcessInfoInit {
  readonly pid?: number | undefined;
}
function wProcessInfo(w: Writer, m: ProcessInfoInit): void {
  wUint32(w, 8, m.pid);
}
function rProcessInfo(r: Reader, end: number, m: ProcessInfo = { pid: 0 }): ProcessInfo {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.pid = r.uint32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ProcessInfo: Codec<ProcessInfo, ProcessInfoInit> = /* @__PURE__ */ codec("ProcessInfo", wProcessInfo, rProcessInfo);

/** containerd.task.v3.PidsResponse */
export interface PidsResponse {
  processes: ProcessInfo[];
}
export interface PidsResponseInit {
  readonly processes?: readonly ProcessInfoInit[] | undefined;
}
function wPidsResponse(w: Writer, m: PidsResponseInit): void {
  wMessages(w, 10, wProcessInfo, m.processes);
}
function rPidsResponse(r: Reader, end: number, m: PidsResponse = { processes: [] }): PidsResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rMessagesItem(r, rProcessInfo, m.processes); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PidsResponse: Codec<PidsResponse, PidsResponseInit> = /* @__PURE__ */ codec("PidsResponse", wPidsResponse, rPidsResponse);

/** containerd.task.v3.CheckpointTaskRequest */
export interface CheckpointTaskRequest {
  id: string;
  path: string;
  options?: Any | undefined;
}
export interface CheckpointTaskRequestInit {
  readonly id?: string | undefined;
  readonly path?: string | undefined;
  readonly options?: AnyInit | undefined;
}
function wCheckpointTaskRequest(w: Writer, m: CheckpointTaskRequestInit): void {
  wString(w, 10, m.id);
  wString(w, 18, m.path);
  wMessage(w, 26, wAny, m.options);
}
function rCheckpointTaskRequest(r: Reader, end: number, m: CheckpointTaskRequest = { id: "", path: "", options: undefined }): CheckpointTaskRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.path = rString(r); break;
      case 26: m.options = rMessage(r, rAny, m.options); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const CheckpointTaskRequest: Codec<CheckpointTaskRequest, CheckpointTaskRequestInit> = /* @__PURE__ */ codec("CheckpointTaskRequest", wCheckpointTaskRequest, rCheckpointTaskRequest);

/** containerd.task.v3.UpdateTaskRequest */
export interface UpdateTaskRequest {
  id: string;
  resources?: Any | undefined;
  annotations: Record<string, string>;
}
export interface UpdateTaskRequestInit {
  readonly id?: string | undefined;
  readonly resources?: AnyInit | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}
function wUpdateTaskRequest(w: Writer, m: UpdateTaskRequestInit): void {
  wString(w, 10, m.id);
  wMessage(w, 18, wAny, m.resources);
  wStringMap(w, 26, m.annotations);
}
function rUpdateTaskRequest(r: Reader, end: number, m: UpdateTaskRequest = { id: "", resources: undefined, annotations: emptyMap() }): UpdateTaskRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.resources = rMessage(r, rAny, m.resources); break;
      case 26: rStringMapItem(r, m.annotations); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const UpdateTaskRequest: Codec<UpdateTaskRequest, UpdateTaskRequestInit> = /* @__PURE__ */ codec("UpdateTaskRequest", wUpdateTaskRequest, rUpdateTaskRequest);

/** containerd.task.v3.WaitResponse */
export interface WaitResponse {
  exitStatus: number;
  exitedAt?: Timestamp | undefined;
}
export interface WaitResponseInit {
  readonly exitStatus?: number | undefined;
  readonly exitedAt?: TimestampInit | undefined;
}
function wWaitResponse(w: Writer, m: WaitResponseInit): void {
  wUint32(w, 8, m.exitStatus);
  wMessage(w, 18, wTimestamp, m.exitedAt);
}
function rWaitResponse(r: Reader, end: number, m: WaitResponse = { exitStatus: 0, exitedAt: undefined }): WaitResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.exitStatus = r.uint32(); break;
      case 18: m.exitedAt = rMessage(r, rTimestamp, m.exitedAt); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const WaitResponse: Codec<WaitResponse, WaitResponseInit> = /* @__PURE__ */ codec("WaitResponse", wWaitResponse, rWaitResponse);

/** containerd.task.v3.StatsResponse */
export interface StatsResponse {
  stats?: Any | undefined;
}
export interface StatsResponseInit {
  readonly stats?: AnyInit | undefined;
}
function wStatsResponse(w: Writer, m: StatsResponseInit): void {
  wMessage(w, 10, wAny, m.stats);
}
function rStatsResponse(r: Reader, end: number, m: StatsResponse = { stats: undefined }): StatsResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.stats = rMessage(r, rAny, m.stats); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StatsResponse: Codec<StatsResponse, StatsResponseInit> = /* @__PURE__ */ codec("StatsResponse", wStatsResponse, rStatsResponse);

/** containerd.task.v3.ConnectResponse */
export interface ConnectResponse {
  shimPid: number;
  taskPid: number;
  version: string;
}
export interface ConnectResponseInit {
  readonly shimPid?: number | undefined;
  readonly taskPid?: number | undefined;
  readonly version?: string | undefined;
}
function wConnectResponse(w: Writer, m: ConnectResponseInit): void {
  wUint32(w, 8, m.shimPid);
  wUint32(w, 16, m.taskPid);
  wString(w, 26, m.version);
}
function rConnectResponse(r: Reader, end: number, m: ConnectResponse = { shimPid: 0, taskPid: 0, version: "" }): ConnectResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.shimPid = r.uint32(); break;
      case 16: m.taskPid = r.uint32(); break;
      case 26: m.version = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ConnectResponse: Codec<ConnectResponse, ConnectResponseInit> = /* @__PURE__ */ codec("ConnectResponse", wConnectResponse, rConnectResponse);

/** containerd.task.v3.ShutdownRequest */
export interface ShutdownRequest {
  id: string;
  now: boolean;
}
export interface ShutdownRequestInit {
  readonly id?: string | undefined;
  readonly now?: boolean | undefined;
}
function wShutdownRequest(w: Writer, m: ShutdownRequestInit): void {
  wString(w, 10, m.id);
  wBool(w, 16, m.now);
}
function rShutdownRequest(r: Reader, end: number, m: ShutdownRequest = { id: "", now: false }): ShutdownRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 16: m.now = r.bool(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ShutdownRequest: Codec<ShutdownRequest, ShutdownRequestInit> = /* @__PURE__ */ codec("ShutdownRequest", wShutdownRequest, rShutdownRequest);

/** containerd.runtime.bootstrap.v1.BootstrapParams */
export interface BootstrapParams {
  instanceId: string;
  namespace: string;
  containerdVersion: string;
  containerdTtrpcAddress: string;
  containerdGrpcAddress: string;
  containerdBinary: string;
  extensions: Extension[];
  socketDir: string;
}
export interface BootstrapParamsInit {
  readonly instanceId?: string | undefined;
  readonly namespace?: string | undefined;
  readonly containerdVersion?: string | undefined;
  readonly containerdTtrpcAddress?: string | undefined;
  readonly containerdGrpcAddress?: string | undefined;
  readonly containerdBinary?: string | undefined;
  readonly extensions?: readonly ExtensionInit[] | undefined;
  readonly socketDir?: string | undefined;
}
function wBootstrapParams(w: Writer, m: BootstrapParamsInit): void {
  wString(w, 10, m.instanceId);
  wString(w, 18, m.namespace);
  wString(w, 34, m.containerdVersion);
  wString(w, 42, m.containerdTtrpcAddress);
  wString(w, 50, m.containerdGrpcAddress);
  wString(w, 58, m.containerdBinary);
  wMessages(w, 66, wExtension, m.extensions);
  wString(w, 74, m.socketDir);
}
function rBootstrapParams(r: Reader, end: number, m: BootstrapParams = { instanceId: "", namespace: "", containerdVersion: "", containerdTtrpcAddress: "", containerdGrpcAddress: "", containerdBinary: "", extensions: [], socketDir: "" }): BootstrapParams {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.instanceId = rString(r); break;
      case 18: m.namespace = rString(r); break;
      case 34: m.containerdVersion = rString(r); break;
      case 42: m.containerdTtrpcAddress = rString(r); break;
      case 50: m.containerdGrpcAddress = rString(r); break;
      case 58: m.containerdBinary = rString(r); break;
      case 66: rMessagesItem(r, rExtension, m.extensions); break;
      case 74: m.socketDir = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const BootstrapParams: Codec<BootstrapParams, BootstrapParamsInit> = /* @__PURE__ */ codec("BootstrapParams", wBootstrapParams, rBootstrapParams);

/** containerd.runtime.bootstrap.v1.Extension */
export interface Extension {
  value?: Any | undefined;
}
export interface ExtensionInit {
  readonly value?: AnyInit | undefined;
}
function wExtension(w: Writer, m: ExtensionInit): void {
  wMessage(w, 10, wAny, m.value);
}
function rExtension(r: Reader, end: number, m: Extension = { value: undefined }): Extension {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.value = rMessage(r, rAny, m.value); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const Extension: Codec<Extension, ExtensionInit> = /* @__PURE__ */ codec("Extension", wExtension, rExtension);

/** containerd.runtime.bootstrap.v1.BootstrapResult */
export interface BootstrapResult {
  /** Of the task API: 2 or 3. */
  version: number;
  address: string;
  /** "ttrpc" or "grpc". */
  protocol: string;
}
export interface BootstrapResultInit {
  readonly version?: number | undefined;
  readonly address?: string | undefined;
  readonly protocol?: string | undefined;
}
function wBootstrapResult(w: Writer, m: BootstrapResultInit): void {
  wInt32(w, 8, m.version);
  wString(w, 18, m.address);
  wString(w, 26, m.protocol);
}
function rBootstrapResult(r: Reader, end: number, m: BootstrapResult = { version: 0, address: "", protocol: "" }): BootstrapResult {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.version = r.int32(); break;
      case 18: m.address = rString(r); break;
      case 26: m.protocol = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const BootstrapResult: Codec<BootstrapResult, BootstrapResultInit> = /* @__PURE__ */ codec("BootstrapResult", wBootstrapResult, rBootstrapResult);

/** containerd.services.events.ttrpc.v1.ForwardRequest */
export interface ForwardRequest {
  envelope?: Envelope | undefined;
}
export interface ForwardRequestInit {
  readonly envelope?: EnvelopeInit | undefined;
}
function wForwardRequest(w: Writer, m: ForwardRequestInit): void {
  wMessage(w, 10, wEnvelope, m.envelope);
}
function rForwardRequest(r: Reader, end: number, m: ForwardRequest = { envelope: undefined }): ForwardRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.envelope = rMessage(r, rEnvelope, m.envelope); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ForwardRequest: Codec<ForwardRequest, ForwardRequestInit> = /* @__PURE__ */ codec("ForwardRequest", wForwardRequest, rForwardRequest);

/** containerd.types.Envelope */
export interface Envelope {
  timestamp?: Timestamp | undefined;
  namespace: string;
  topic: string;
  event?: Any | undefined;
}
export interface EnvelopeInit {
  readonly timestamp?: TimestampInit | undefined;
  readonly namespace?: string | undefined;
  readonly topic?: string | undefined;
  readonly event?: AnyInit | undefined;
}
function wEnvelope(w: Writer, m: EnvelopeInit): void {
  wMessage(w, 10, wTimestamp, m.timestamp);
  wString(w, 18, m.namespace);
  wString(w, 26, m.topic);
  wMessage(w, 34, wAny, m.event);
}
function rEnvelope(r: Reader, end: number, m: Envelope = { timestamp: undefined, namespace: "", topic: "", event: undefined }): Envelope {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.timestamp = rMessage(r, rTimestamp, m.timestamp); break;
      case 18: m.namespace = rString(r); break;
      case 26: m.topic = rString(r); break;
      case 34: m.event = rMessage(r, rAny, m.event); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const Envelope: Codec<Envelope, EnvelopeInit> = /* @__PURE__ */ codec("Envelope", wEnvelope, rEnvelope);

/** containerd.events.TaskStart */
export interface TaskStart {
  containerId: string;
  pid: number;
}
export interface TaskStartInit {
  readonly containerId?: string | undefined;
  readonly pid?: number | undefined;
}
function wTaskStart(w: Writer, m: TaskStartInit): void {
  wString(w, 10, m.containerId);
  wUint32(w, 16, m.pid);
}
function rTaskStart(r: Reader, end: number, m: TaskStart = { containerId: "", pid: 0 }): TaskStart {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerId = rString(r); break;
      case 16: m.pid = r.uint32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const TaskStart: Codec<TaskStart, TaskStartInit> = /* @__PURE__ */ codec("TaskStart", wTaskStart, rTaskStart);

/** containerd.events.TaskExit */
export interface TaskExit {
  containerId: string;
  /** The exec's, or again the container's. */
  id: string;
  pid: number;
  exitStatus: number;
  exitedAt?: Timestamp | undefined;
}
export interface TaskExitInit {
  readonly containerId?: string | undefined;
  readonly id?: string | undefined;
  readonly pid?: number | undefined;
  readonly exitStatus?: number | undefined;
  readonly exitedAt?: TimestampInit | undefined;
}
function wTaskExit(w: Writer, m: TaskExitInit): void {
  wString(w, 10, m.containerId);
  wString(w, 18, m.id);
  wUint32(w, 24, m.pid);
  wUint32(w, 32, m.exitStatus);
  wMessage(w, 42, wTimestamp, m.exitedAt);
}
function rTaskExit(r: Reader, end: number, m: TaskExit = { containerId: "", id: "", pid: 0, exitStatus: 0, exitedAt: undefined }): TaskExit {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerId = rString(r); break;
      case 18: m.id = rString(r); break;
      case 24: m.pid = r.uint32(); break;
      case 32: m.exitStatus = r.uint32(); break;
      case 42: m.exitedAt = rMessage(r, rTimestamp, m.exitedAt); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const TaskExit: Codec<TaskExit, TaskExitInit> = /* @__PURE__ */ codec("TaskExit", wTaskExit, rTaskExit);

/** containerd.events.TaskOOM */
export interface TaskOom {
  containerId: string;
}
export interface TaskOomInit {
  readonly containerId?: string | undefined;
}
function wTaskOom(w: Writer, m: TaskOomInit): void {
  wString(w, 10, m.containerId);
}
function rTaskOom(r: Reader, end: number, m: TaskOom = { containerId: "" }): TaskOom {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerId = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const TaskOom: Codec<TaskOom, TaskOomInit> = /* @__PURE__ */ codec("TaskOom", wTaskOom, rTaskOom);

/** containerd.runc.v1.Options */
export interface RuncOptions {
  noPivotRoot: boolean;
  noNewKeyring: boolean;
  shimCgroup: string;
  ioUid: number;
  ioGid: number;
  binaryName: string;
  root: string;
  systemdCgroup: boolean;
  criuImagePath: string;
  criuWorkPath: string;
}
export interface RuncOptionsInit {
  readonly noPivotRoot?: boolean | undefined;
  readonly noNewKeyring?: boolean | undefined;
  readonly shimCgroup?: string | undefined;
  readonly ioUid?: number | undefined;
  readonly ioGid?: number | undefined;
  readonly binaryName?: string | undefined;
  readonly root?: string | undefined;
  readonly systemdCgroup?: boolean | undefined;
  readonly criuImagePath?: string | undefined;
  readonly criuWorkPath?: string | undefined;
}
function wRuncOptions(w: Writer, m: RuncOptionsInit): void {
  wBool(w, 8, m.noPivotRoot);
  wBool(w, 16, m.noNewKeyring);
  wString(w, 26, m.shimCgroup);
  wUint32(w, 32, m.ioUid);
  wUint32(w, 40, m.ioGid);
  wString(w, 50, m.binaryName);
  wString(w, 58, m.root);
  wBool(w, 72, m.systemdCgroup);
  wString(w, 82, m.criuImagePath);
  wString(w, 90, m.criuWorkPath);
}
function rRuncOptions(r: Reader, end: number, m: RuncOptions = { noPivotRoot: false, noNewKeyring: false, shimCgroup: "", ioUid: 0, ioGid: 0, binaryName: "", root: "", systemdCgroup: false, criuImagePath: "", criuWorkPath: "" }): RuncOptions {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.noPivotRoot = r.bool(); break;
      case 16: m.noNewKeyring = r.bool(); break;
      case 26: m.shimCgroup = rString(r); break;
      case 32: m.ioUid = r.uint32(); break;
      case 40: m.ioGid = r.uint32(); break;
      case 50: m.binaryName = rString(r); break;
      case 58: m.root = rString(r); break;
      case 72: m.systemdCgroup = r.bool(); break;
      case 82: m.criuImagePath = rString(r); break;
      case 90: m.criuWorkPath = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RuncOptions: Codec<RuncOptions, RuncOptionsInit> = /* @__PURE__ */ codec("RuncOptions", wRuncOptions, rRuncOptions);

/** containerd.runc.v1.CheckpointOptions */
export interface RuncCheckpointOptions {
  exit: boolean;
  openTcp: boolean;
  externalUnixSockets: boolean;
  terminal: boolean;
  fileLocks: boolean;
  imagePath: string;
  workPath: string;
}
export interface RuncCheckpointOptionsInit {
  readonly exit?: boolean | undefined;
  readonly openTcp?: boolean | undefined;
  readonly externalUnixSockets?: boolean | undefined;
  readonly terminal?: boolean | undefined;
  readonly fileLocks?: boolean | undefined;
  readonly imagePath?: string | undefined;
  readonly workPath?: string | undefined;
}
function wRuncCheckpointOptions(w: Writer, m: RuncCheckpointOptionsInit): void {
  wBool(w, 8, m.exit);
  wBool(w, 16, m.openTcp);
  wBool(w, 24, m.externalUnixSockets);
  wBool(w, 32, m.terminal);
  wBool(w, 40, m.fileLocks);
  wString(w, 66, m.imagePath);
  wString(w, 74, m.workPath);
}
function rRuncCheckpointOptions(r: Reader, end: number, m: RuncCheckpointOptions = { exit: false, openTcp: false, externalUnixSockets: false, terminal: false, fileLocks: false, imagePath: "", workPath: "" }): RuncCheckpointOptions {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.exit = r.bool(); break;
      case 16: m.openTcp = r.bool(); break;
      case 24: m.externalUnixSockets = r.bool(); break;
      case 32: m.terminal = r.bool(); break;
      case 40: m.fileLocks = r.bool(); break;
      case 66: m.imagePath = rString(r); break;
      case 74: m.workPath = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RuncCheckpointOptions: Codec<RuncCheckpointOptions, RuncCheckpointOptionsInit> = /* @__PURE__ */ codec("RuncCheckpointOptions", wRuncCheckpointOptions, rRuncCheckpointOptions);

/** runtimeoptions.v1.Options */
export interface RuntimeOptions {
  typeUrl: string;
  configPath: string;
  configBody: Uint8Array;
}
export interface RuntimeOptionsInit {
  readonly typeUrl?: string | undefined;
  readonly configPath?: string | undefined;
  readonly configBody?: Uint8Array | undefined;
}
function wRuntimeOptions(w: Writer, m: RuntimeOptionsInit): void {
  wString(w, 10, m.typeUrl);
  wString(w, 18, m.configPath);
  wBytes(w, 26, m.configBody);
}
function rRuntimeOptions(r: Reader, end: number, m: RuntimeOptions = { typeUrl: "", configPath: "", configBody: new Uint8Array(0) }): RuntimeOptions {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.typeUrl = rString(r); break;
      case 18: m.configPath = rString(r); break;
      case 26: m.configBody = rBytes(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RuntimeOptions: Codec<RuntimeOptions, RuntimeOptionsInit> = /* @__PURE__ */ codec("RuntimeOptions", wRuntimeOptions, rRuntimeOptions);

/** io.containerd.cgroups.v1.Metrics */
export interface MetricsV1 {
  pids?: PidsStat | undefined;
  cpu?: CpuStatV1 | undefined;
  memory?: MemoryStatV1 | undefined;
}
export interface MetricsV1Init {
  readonly pids?: PidsStatInit | undefined;
  readonly cpu?: CpuStatV1Init | undefined;
  readonly memory?: MemoryStatV1Init | undefined;
}
function wMetricsV1(w: Writer, m: MetricsV1Init): void {
  wMessage(w, 18, wPidsStat, m.pids);
  wMessage(w, 26, wCpuStatV1, m.cpu);
  wMessage(w, 34, wMemoryStatV1, m.memory);
}
function rMetricsV1(r: Reader, end: number, m: MetricsV1 = { pids: undefined, cpu: undefined, memory: undefined }): MetricsV1 {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 18: m.pids = rMessage(r, rPidsStat, m.pids); break;
      case 26: m.cpu = rMessage(r, rCpuStatV1, m.cpu); break;
      case 34: m.memory = rMessage(r, rMemoryStatV1, m.memory); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const MetricsV1: Codec<MetricsV1, MetricsV1Init> = /* @__PURE__ */ codec("MetricsV1", wMetricsV1, rMetricsV1);

/** io.containerd.cgroups.v1.PidsStat */
export interface PidsStat {
  current: bigint;
  limit: bigint;
}
export interface PidsStatInit {
  readonly current?: bigint | undefined;
  readonly limit?: bigint | undefined;
}
function wPidsStat(w: Writer, m: PidsStatInit): void {
  wUint64(w, 8, m.current);
  wUint64(w, 16, m.limit);
}
function rPidsStat(r: Reader, end: number, m: PidsStat = { current: 0n, limit: 0n }): PidsStat {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.current = rUint64(r); break;
      case 16: m.limit = rUint64(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PidsStat: Codec<PidsStat, PidsStatInit> = /* @__PURE__ */ codec("PidsStat", wPidsStat, rPidsStat);

/** io.containerd.cgroups.v1.CPUStat */
export interface CpuStatV1 {
  usage?: CpuUsage | undefined;
}
export interface CpuStatV1Init {
  readonly usage?: CpuUsageInit | undefined;
}
function wCpuStatV1(w: Writer, m: CpuStatV1Init): void {
  wMessage(w, 10, wCpuUsage, m.usage);
}
function rCpuStatV1(r: Reader, end: number, m: CpuStatV1 = { usage: undefined }): CpuStatV1 {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.usage = rMessage(r, rCpuUsage, m.usage); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const CpuStatV1: Codec<CpuStatV1, CpuStatV1Init> = /* @__PURE__ */ codec("CpuStatV1", wCpuStatV1, rCpuStatV1);

/** io.containerd.cgroups.v1.CPUUsage */
export interface CpuUsage {
  /** Nanoseconds, these three. */
  total: bigint;
  kernel: bigint;
  user: bigint;
}
export interface CpuUsageInit {
  readonly total?: bigint | undefined;
  readonly kernel?: bigint | undefined;
  readonly user?: bigint | undefined;
}
function wCpuUsage(w: Writer, m: CpuUsageInit): void {
  wUint64(w, 8, m.total);
  wUint64(w, 16, m.kernel);
  wUint64(w, 24, m.user);
}
function rCpuUsage(r: Reader, end: number, m: CpuUsage = { total: 0n, kernel: 0n, user: 0n }): CpuUsage {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.total = rUint64(r); break;
      case 16: m.kernel = rUint64(r); break;
      case 24: m.user = rUint64(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const CpuUsage: Codec<CpuUsage, CpuUsageInit> = /* @__PURE__ */ codec("CpuUsage", wCpuUsage, rCpuUsage);

/** io.containerd.cgroups.v1.MemoryStat */
export interface MemoryStatV1 {
  rss: bigint;
  inactiveFile: bigint;
  totalRss: bigint;
  totalPgFault: bigint;
  totalPgMajFault: bigint;
  totalInactiveFile: bigint;
  usage?: MemoryEntry | undefined;
  swap?: MemoryEntry | undefined;
}
export interface MemoryStatV1Init {
  readonly rss?: bigint | undefined;
  readonly inactiveFile?: bigint | undefined;
  readonly totalRss?: bigint | undefined;
  readonly totalPgFault?: bigint | undefined;
  readonly totalPgMajFault?: bigint | undefined;
  readonly totalInactiveFile?: bigint | undefined;
  readonly usage?: MemoryEntryInit | undefined;
  readonly swap?: MemoryEntryInit | undefined;
}
function wMemoryStatV1(w: Writer, m: MemoryStatV1Init): void {
  wUint64(w, 16, m.rss);
  wUint64(w, 104, m.inactiveFile);
  wUint64(w, 152, m.totalRss);
  wUint64(w, 208, m.totalPgFault);
  wUint64(w, 216, m.totalPgMajFault);
  wUint64(w, 240, m.totalInactiveFile);
  wMessage(w, 266, wMemoryEntry, m.usage);
  wMessage(w, 274, wMemoryEntry, m.swap);
}
function rMemoryStatV1(r: Reader, end: number, m: MemoryStatV1 = { rss: 0n, inactiveFile: 0n, totalRss: 0n, totalPgFault: 0n, totalPgMajFault: 0n, totalInactiveFile: 0n, usage: undefined, swap: undefined }): MemoryStatV1 {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 16: m.rss = rUint64(r); break;
      case 104: m.inactiveFile = rUint64(r); break;
      case 152: m.totalRss = rUint64(r); break;
      case 208: m.totalPgFault = rUint64(r); break;
      case 216: m.totalPgMajFault = rUint64(r); break;
      case 240: m.totalInactiveFile = rUint64(r); break;
      case 266: m.usage = rMessage(r, rMemoryEntry, m.usage); break;
      case 274: m.swap = rMessage(r, rMemoryEntry, m.swap); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const MemoryStatV1: Codec<MemoryStatV1, MemoryStatV1Init> = /* @__PURE__ */ codec("MemoryStatV1", wMemoryStatV1, rMemoryStatV1);

/** io.containerd.cgroups.v1.MemoryEntry */
export interface MemoryEntry {
  limit: bigint;
  usage: bigint;
  max: bigint;
  failcnt: bigint;
}
export interface MemoryEntryInit {
  readonly limit?: bigint | undefined;
  readonly usage?: bigint | undefined;
  readonly max?: bigint | undefined;
  readonly failcnt?: bigint | undefined;
}
function wMemoryEntry(w: Writer, m: MemoryEntryInit): void {
  wUint64(w, 8, m.limit);
  wUint64(w, 16, m.usage);
  wUint64(w, 24, m.max);
  wUint64(w, 32, m.failcnt);
}
function rMemoryEntry(r: Reader, end: number, m: MemoryEntry = { limit: 0n, usage: 0n, max: 0n, failcnt: 0n }): MemoryEntry {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.limit = rUint64(r); break;
      case 16: m.usage = rUint64(r); break;
      case 24: m.max = rUint64(r); break;
      case 32: m.failcnt = rUint64(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const MemoryEntry: Codec<MemoryEntry, MemoryEntryInit> = /* @__PURE__ */ codec("MemoryEntry", wMemoryEntry, rMemoryEntry);

/** io.containerd.cgroups.v2.Metrics */
export interface MetricsV2 {
  pids?: PidsStat | undefined;
  cpu?: CpuStatV2 | undefined;
  memory?: MemoryStatV2 | undefined;
}
export interface MetricsV2Init {
  readonly pids?: PidsStatInit | undefined;
  readonly cpu?: CpuStatV2Init | undefined;
  readonly memory?: MemoryStatV2Init | undefined;
}
function wMetricsV2(w: Writer, m: MetricsV2Init): void {
  wMessage(w, 10, wPidsStat, m.pids);
  wMessage(w, 18, wCpuStatV2, m.cpu);
  wMessage(w, 34, wMemoryStatV2, m.memory);
}
function rMetricsV2(r: Reader, end: number, m: MetricsV2 = { pids: undefined, cpu: undefined, memory: undefined }): MetricsV2 {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.pids = rMessage(r, rPidsStat, m.pids); break;
      case 18: m.cpu = rMessage(r, rCpuStatV2, m.cpu); break;
      case 34: m.memory = rMessage(r, rMemoryStatV2, m.memory); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const MetricsV2: Codec<MetricsV2, MetricsV2Init> = /* @__PURE__ */ codec("MetricsV2", wMetricsV2, rMetricsV2);

/** io.containerd.cgroups.v2.CPUStat */
export interface CpuStatV2 {
  usageUsec: bigint;
  userUsec: bigint;
  systemUsec: bigint;
}
export interface CpuStatV2Init {
  readonly usageUsec?: bigint | undefined;
  readonly userUsec?: bigint | undefined;
  readonly systemUsec?: bigint | undefined;
}
function wCpuStatV2(w: Writer, m: CpuStatV2Init): void {
  wUint64(w, 8, m.usageUsec);
  wUint64(w, 16, m.userUsec);
  wUint64(w, 24, m.systemUsec);
}
function rCpuStatV2(r: Reader, end: number, m: CpuStatV2 = { usageUsec: 0n, userUsec: 0n, systemUsec: 0n }): CpuStatV2 {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.usageUsec = rUint64(r); break;
      case 16: m.userUsec = rUint64(r); break;
      case 24: m.systemUsec = rUint64(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const CpuStatV2: Codec<CpuStatV2, CpuStatV2Init> = /* @__PURE__ */ codec("CpuStatV2", wCpuStatV2, rCpuStatV2);

/** io.containerd.cgroups.v2.MemoryStat */
export interface MemoryStatV2 {
  anon: bigint;
  inactiveFile: bigint;
  pgfault: bigint;
  pgmajfault: bigint;
  usage: bigint;
  usageLimit: bigint;
  swapUsage: bigint;
  swapLimit: bigint;
}
export interface MemoryStatV2Init {
  readonly anon?: bigint | undefined;
  readonly inactiveFile?: bigint | undefined;
  readonly pgfault?: bigint | undefined;
  readonly pgmajfault?: bigint | undefined;
  readonly usage?: bigint | undefined;
  readonly usageLimit?: bigint | undefined;
  readonly swapUsage?: bigint | undefined;
  readonly swapLimit?: bigint | undefined;
}
function wMemoryStatV2(w: Writer, m: MemoryStatV2Init): void {
  wUint64(w, 8, m.anon);
  wUint64(w, 104, m.inactiveFile);
  wUint64(w, 144, m.pgfault);
  wUint64(w, 152, m.pgmajfault);
  wUint64(w, 256, m.usage);
  wUint64(w, 264, m.usageLimit);
  wUint64(w, 272, m.swapUsage);
  wUint64(w, 280, m.swapLimit);
}
function rMemoryStatV2(r: Reader, end: number, m: MemoryStatV2 = { anon: 0n, inactiveFile: 0n, pgfault: 0n, pgmajfault: 0n, usage: 0n, usageLimit: 0n, swapUsage: 0n, swapLimit: 0n }): MemoryStatV2 {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.anon = rUint64(r); break;
      case 104: m.inactiveFile = rUint64(r); break;
      case 144: m.pgfault = rUint64(r); break;
      case 152: m.pgmajfault = rUint64(r); break;
      case 256: m.usage = rUint64(r); break;
      case 264: m.usageLimit = rUint64(r); break;
      case 272: m.swapUsage = rUint64(r); break;
      case 280: m.swapLimit = rUint64(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const MemoryStatV2: Codec<MemoryStatV2, MemoryStatV2Init> = /* @__PURE__ */ codec("MemoryStatV2", wMemoryStatV2, rMemoryStatV2);
