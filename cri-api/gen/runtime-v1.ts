// Made by hack/generate from cri-api/runtime/v1/api.proto. Do not edit.
import { codec, emptyMap, ended, rBytes, rInt32, rInt64, rItem, rMessage, rMessagesItem, rPacked, rString, rStringMapItem, rStringsItem, rUint64, skip, wBool, wBytes, wDouble, wInt32, wInt32s, wInt64, wInt64s, wMessage, wMessages, wString, wStringMap, wStrings, wUint32, wUint64 } from "../wire.ts";
import type { Codec, Reader, Writer } from "../wire.ts";

/** Who makes cgroups and how their paths are written. */
export const CgroupDriver = {
  /** Paths are slices and scopes of systemd. */
  SYSTEMD: 0,
  /** Paths are folders below /sys/fs/cgroup. */
  CGROUPFS: 1,
} as const;
/** Any number: values of a newer client are kept. */
export type CgroupDriver = number;

/** Of a port. */
export const Protocol = {
  TCP: 0,
  UDP: 1,
  SCTP: 2,
} as const;
/** Any number: values of a newer client are kept. */
export type Protocol = number;

/** Where a process's further groups come from. */
export const SupplementalGroupsPolicy = {
  /** From the request and from /etc/group of the image. */
  Merge: 0,
  /** From the request alone. */
  Strict: 1,
} as const;
/** Any number: values of a newer client are kept. */
export type SupplementalGroupsPolicy = number;

/** Whose namespace it is. */
export const NamespaceMode = {
  /** One for all containers of the pod. */
  POD: 0,
  /** One of its own. */
  CONTAINER: 1,
  /** The host's. */
  NODE: 2,
  /** That of the container `target_id`. */
  TARGET: 3,
} as const;
/** Any number: values of a newer client are kept. */
export type NamespaceMode = number;

/** What a sandbox can be. */
export const PodSandboxState = {
  SANDBOX_READY: 0,
  SANDBOX_NOTREADY: 1,
} as const;
/** Any number: values of a newer client are kept. */
export type PodSandboxState = number;

/** Which mounts made later are seen on the other side. */
export const MountPropagation = {
  /** None (rprivate). */
  PROPAGATION_PRIVATE: 0,
  /** Those of the host in the container (rslave). */
  PROPAGATION_HOST_TO_CONTAINER: 1,
  /** Both ways (rshared). */
  PROPAGATION_BIDIRECTIONAL: 2,
} as const;
/** Any number: values of a newer client are kept. */
export type MountPropagation = number;

/** A stop signal. The numbers are this interface's, not the kernel's. */
export const Signal = {
  SIGNAL_RUNTIME_DEFAULT: 0,
  SIGNAL_SIGABRT: 1,
  SIGNAL_SIGALRM: 2,
  SIGNAL_SIGBUS: 3,
  SIGNAL_SIGCHLD: 4,
  SIGNAL_SIGCLD: 5,
  SIGNAL_SIGCONT: 6,
  SIGNAL_SIGFPE: 7,
  SIGNAL_SIGHUP: 8,
  SIGNAL_SIGILL: 9,
  SIGNAL_SIGINT: 10,
  SIGNAL_SIGIO: 11,
  SIGNAL_SIGIOT: 12,
  SIGNAL_SIGKILL: 13,
  SIGNAL_SIGPIPE: 14,
  SIGNAL_SIGPOLL: 15,
  SIGNAL_SIGPROF: 16,
  SIGNAL_SIGPWR: 17,
  SIGNAL_SIGQUIT: 18,
  SIGNAL_SIGSEGV: 19,
  SIGNAL_SIGSTKFLT: 20,
  SIGNAL_SIGSTOP: 21,
  SIGNAL_SIGSYS: 22,
  SIGNAL_SIGTERM: 23,
  SIGNAL_SIGTRAP: 24,
  SIGNAL_SIGTSTP: 25,
  SIGNAL_SIGTTIN: 26,
  SIGNAL_SIGTTOU: 27,
  SIGNAL_SIGURG: 28,
  SIGNAL_SIGUSR1: 29,
  SIGNAL_SIGUSR2: 30,
  SIGNAL_SIGVTALRM: 31,
  SIGNAL_SIGWINCH: 32,
  SIGNAL_SIGXCPU: 33,
  SIGNAL_SIGXFSZ: 34,
  SIGNAL_SIGRTMIN: 35,
  SIGNAL_SIGRTMINPLUS1: 36,
  SIGNAL_SIGRTMINPLUS2: 37,
  SIGNAL_SIGRTMINPLUS3: 38,
  SIGNAL_SIGRTMINPLUS4: 39,
  SIGNAL_SIGRTMINPLUS5: 40,
  SIGNAL_SIGRTMINPLUS6: 41,
  SIGNAL_SIGRTMINPLUS7: 42,
  SIGNAL_SIGRTMINPLUS8: 43,
  SIGNAL_SIGRTMINPLUS9: 44,
  SIGNAL_SIGRTMINPLUS10: 45,
  SIGNAL_SIGRTMINPLUS11: 46,
  SIGNAL_SIGRTMINPLUS12: 47,
  SIGNAL_SIGRTMINPLUS13: 48,
  SIGNAL_SIGRTMINPLUS14: 49,
  SIGNAL_SIGRTMINPLUS15: 50,
  SIGNAL_SIGRTMAXMINUS14: 51,
  SIGNAL_SIGRTMAXMINUS13: 52,
  SIGNAL_SIGRTMAXMINUS12: 53,
  SIGNAL_SIGRTMAXMINUS11: 54,
  SIGNAL_SIGRTMAXMINUS10: 55,
  SIGNAL_SIGRTMAXMINUS9: 56,
  SIGNAL_SIGRTMAXMINUS8: 57,
  SIGNAL_SIGRTMAXMINUS7: 58,
  SIGNAL_SIGRTMAXMINUS6: 59,
  SIGNAL_SIGRTMAXMINUS5: 60,
  SIGNAL_SIGRTMAXMINUS4: 61,
  SIGNAL_SIGRTMAXMINUS3: 62,
  SIGNAL_SIGRTMAXMINUS2: 63,
  SIGNAL_SIGRTMAXMINUS1: 64,
  SIGNAL_SIGRTMAX: 65,
} as const;
/** Any number: values of a newer client are kept. */
export type Signal = number;

/** What a container can be. */
export const ContainerState = {
  CONTAINER_CREATED: 0,
  CONTAINER_RUNNING: 1,
  CONTAINER_EXITED: 2,
  CONTAINER_UNKNOWN: 3,
} as const;
/** Any number: values of a newer client are kept. */
export type ContainerState = number;

/** What happened. */
export const ContainerEventType = {
  CONTAINER_CREATED_EVENT: 0,
  CONTAINER_STARTED_EVENT: 1,
  CONTAINER_STOPPED_EVENT: 2,
  CONTAINER_DELETED_EVENT: 3,
} as const;
/** Any number: values of a newer client are kept. */
export type ContainerEventType = number;

/** How values of a metric follow each other. */
export const MetricType = {
  COUNTER: 0,
  GAUGE: 1,
} as const;
/** Any number: values of a newer client are kept. */
export type MetricType = number;

/** Which profile. */
export const ProfileType = {
  /** The runtime's own. */
  RuntimeDefault: 0,
  Unconfined: 1,
  /** The one in `localhost_ref`; the request fails when it is not there. */
  Localhost: 2,
} as const;
/** Any number: values of a newer client are kept. */
export type ProfileType = number;

/** Asks for the runtime's name and version. */
export interface VersionRequest {
  /** The kubelet's version of the interface; may be empty. */
  version: string;
}
export interface VersionRequestInit {
  readonly version?: string | undefined;
}
function wVersionRequest(w: Writer, m: VersionRequestInit): void {
  wString(w, 10, m.version);
}
function rVersionRequest(r: Reader, end: number, m: VersionRequest = { version: "" }): VersionRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.version = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const VersionRequest: Codec<VersionRequest, VersionRequestInit> = /* @__PURE__ */ codec("VersionRequest", wVersionRequest, rVersionRequest);

/** Name and version of the runtime. */
export interface VersionResponse {
  /** Always "0.1.0": the version of the kubelet's runtime API. */
  version: string;
  runtimeName: string;
  runtimeVersion: string;
  /** "v1". */
  runtimeApiVersion: string;
}
export interface VersionResponseInit {
  readonly version?: string | undefined;
  readonly runtimeName?: string | undefined;
  readonly runtimeVersion?: string | undefined;
  readonly runtimeApiVersion?: string | undefined;
}
function wVersionResponse(w: Writer, m: VersionResponseInit): void {
  wString(w, 10, m.version);
  wString(w, 18, m.runtimeName);
  wString(w, 26, m.runtimeVersion);
  wString(w, 34, m.runtimeApiVersion);
}
function rVersionResponse(r: Reader, end: number, m: VersionResponse = { version: "", runtimeName: "", runtimeVersion: "", runtimeApiVersion: "" }): VersionResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.version = rString(r); break;
      case 18: m.runtimeName = rString(r); break;
      case 26: m.runtimeVersion = rString(r); break;
      case 34: m.runtimeApiVersion = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const VersionResponse: Codec<VersionResponse, VersionResponseInit> = /* @__PURE__ */ codec("VersionResponse", wVersionResponse, rVersionResponse);

/** Asks for the conditions of the runtime. */
export interface StatusRequest {
  /** Also fill `info`. */
  verbose: boolean;
}
export interface StatusRequestInit {
  readonly verbose?: boolean | undefined;
}
function wStatusRequest(w: Writer, m: StatusRequestInit): void {
  wBool(w, 8, m.verbose);
}
function rStatusRequest(r: Reader, end: number, m: StatusRequest = { verbose: false }): StatusRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.verbose = r.bool(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StatusRequest: Codec<StatusRequest, StatusRequestInit> = /* @__PURE__ */ codec("StatusRequest", wStatusRequest, rStatusRequest);

/** The conditions, handlers and features of the runtime; pods are scheduled by them, so they are exact. */
export interface StatusResponse {
  status?: RuntimeStatus | undefined;
  /** Free JSON texts by name, for people; `config` holds the running configuration. */
  info: Record<string, string>;
  /** One per handler; the one named "" is the default. */
  runtimeHandlers: RuntimeHandler[];
  features?: RuntimeFeatures | undefined;
}
export interface StatusResponseInit {
  readonly status?: RuntimeStatusInit | undefined;
  readonly info?: Readonly<Record<string, string>> | undefined;
  readonly runtimeHandlers?: readonly RuntimeHandlerInit[] | undefined;
  readonly features?: RuntimeFeaturesInit | undefined;
}
function wStatusResponse(w: Writer, m: StatusResponseInit): void {
  wMessage(w, 10, wRuntimeStatus, m.status);
  wStringMap(w, 18, m.info);
  wMessages(w, 26, wRuntimeHandler, m.runtimeHandlers);
  wMessage(w, 34, wRuntimeFeatures, m.features);
}
function rStatusResponse(r: Reader, end: number, m: StatusResponse = { status: undefined, info: emptyMap(), runtimeHandlers: [], features: undefined }): StatusResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.status = rMessage(r, rRuntimeStatus, m.status); break;
      case 18: rStringMapItem(r, m.info); break;
      case 26: rMessagesItem(r, rRuntimeHandler, m.runtimeHandlers); break;
      case 34: m.features = rMessage(r, rRuntimeFeatures, m.features); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StatusResponse: Codec<StatusResponse, StatusResponseInit> = /* @__PURE__ */ codec("StatusResponse", wStatusResponse, rStatusResponse);

/** Holds at least RuntimeReady and NetworkReady. */
export interface RuntimeStatus {
  conditions: RuntimeCondition[];
}
export interface RuntimeStatusInit {
  readonly conditions?: readonly RuntimeConditionInit[] | undefined;
}
function wRuntimeStatus(w: Writer, m: RuntimeStatusInit): void {
  wMessages(w, 10, wRuntimeCondition, m.conditions);
}
function rRuntimeStatus(r: Reader, end: number, m: RuntimeStatus = { conditions: [] }): RuntimeStatus {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rMessagesItem(r, rRuntimeCondition, m.conditions); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RuntimeStatus: Codec<RuntimeStatus, RuntimeStatusInit> = /* @__PURE__ */ codec("RuntimeStatus", wRuntimeStatus, rRuntimeStatus);

/** One yes or no about the runtime. */
export interface RuntimeCondition {
  type: string;
  status: boolean;
  /** One word in CamelCase when status is false. */
  reason: string;
  /** A sentence for people: what is missing and what to do. */
  message: string;
}
export interface RuntimeConditionInit {
  readonly type?: string | undefined;
  readonly status?: boolean | undefined;
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
}
function wRuntimeCondition(w: Writer, m: RuntimeConditionInit): void {
  wString(w, 10, m.type);
  wBool(w, 16, m.status);
  wString(w, 26, m.reason);
  wString(w, 34, m.message);
}
function rRuntimeCondition(r: Reader, end: number, m: RuntimeCondition = { type: "", status: false, reason: "", message: "" }): RuntimeCondition {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.type = rString(r); break;
      case 16: m.status = r.bool(); break;
      case 26: m.reason = rString(r); break;
      case 34: m.message = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RuntimeCondition: Codec<RuntimeCondition, RuntimeConditionInit> = /* @__PURE__ */ codec("RuntimeCondition", wRuntimeCondition, rRuntimeCondition);

/** A named way to run containers, chosen by a RuntimeClass. */
export interface RuntimeHandler {
  name: string;
  features?: RuntimeHandlerFeatures | undefined;
}
export interface RuntimeHandlerInit {
  readonly name?: string | undefined;
  readonly features?: RuntimeHandlerFeaturesInit | undefined;
}
function wRuntimeHandler(w: Writer, m: RuntimeHandlerInit): void {
  wString(w, 10, m.name);
  wMessage(w, 18, wRuntimeHandlerFeatures, m.features);
}
function rRuntimeHandler(r: Reader, end: number, m: RuntimeHandler = { name: "", features: undefined }): RuntimeHandler {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.name = rString(r); break;
      case 18: m.features = rMessage(r, rRuntimeHandlerFeatures, m.features); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RuntimeHandler: Codec<RuntimeHandler, RuntimeHandlerInit> = /* @__PURE__ */ codec("RuntimeHandler", wRuntimeHandler, rRuntimeHandler);

/** What a handler can do on this kernel. */
export interface RuntimeHandlerFeatures {
  recursiveReadOnlyMounts: boolean;
  userNamespaces: boolean;
}
export interface RuntimeHandlerFeaturesInit {
  readonly recursiveReadOnlyMounts?: boolean | undefined;
  readonly userNamespaces?: boolean | undefined;
}
function wRuntimeHandlerFeatures(w: Writer, m: RuntimeHandlerFeaturesInit): void {
  wBool(w, 8, m.recursiveReadOnlyMounts);
  wBool(w, 16, m.userNamespaces);
}
function rRuntimeHandlerFeatures(r: Reader, end: number, m: RuntimeHandlerFeatures = { recursiveReadOnlyMounts: false, userNamespaces: false }): RuntimeHandlerFeatures {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.recursiveReadOnlyMounts = r.bool(); break;
      case 16: m.userNamespaces = r.bool(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RuntimeHandlerFeatures: Codec<RuntimeHandlerFeatures, RuntimeHandlerFeaturesInit> = /* @__PURE__ */ codec("RuntimeHandlerFeatures", wRuntimeHandlerFeatures, rRuntimeHandlerFeatures);

/** What the runtime can do whatever the handler. */
export interface RuntimeFeatures {
  /** SupplementalGroupsPolicy is honoured. */
  supplementalGroupsPolicy: boolean;
  /** A pod may have its own user namespace and the host's network. */
  userNamespacesHostNetwork: boolean;
  /** Mount.mount_options is honoured. */
  mountOptions: boolean;
}
export interface RuntimeFeaturesInit {
  readonly supplementalGroupsPolicy?: boolean | undefined;
  readonly userNamespacesHostNetwork?: boolean | undefined;
  readonly mountOptions?: boolean | undefined;
}
function wRuntimeFeatures(w: Writer, m: RuntimeFeaturesInit): void {
  wBool(w, 8, m.supplementalGroupsPolicy);
  wBool(w, 16, m.userNamespacesHostNetwork);
  wBool(w, 24, m.mountOptions);
}
function rRuntimeFeatures(r: Reader, end: number, m: RuntimeFeatures = { supplementalGroupsPolicy: false, userNamespacesHostNetwork: false, mountOptions: false }): RuntimeFeatures {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.supplementalGroupsPolicy = r.bool(); break;
      case 16: m.userNamespacesHostNetwork = r.bool(); break;
      case 24: m.mountOptions = r.bool(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RuntimeFeatures: Codec<RuntimeFeatures, RuntimeFeaturesInit> = /* @__PURE__ */ codec("RuntimeFeatures", wRuntimeFeatures, rRuntimeFeatures);

/** Asks what the kubelet must take over from the runtime. */
export type RuntimeConfigRequest = Record<never, never>;
export type RuntimeConfigRequestInit = Record<never, never>;
function wRuntimeConfigRequest(_w: Writer, _m: RuntimeConfigRequestInit): void {
}
function rRuntimeConfigRequest(r: Reader, end: number, m: RuntimeConfigRequest = {}): RuntimeConfigRequest {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const RuntimeConfigRequest: Codec<RuntimeConfigRequest, RuntimeConfigRequestInit> = /* @__PURE__ */ codec("RuntimeConfigRequest", wRuntimeConfigRequest, rRuntimeConfigRequest);

/** What the kubelet must take over from the runtime. */
export interface RuntimeConfigResponse {
  linux?: LinuxRuntimeConfiguration | undefined;
}
export interface RuntimeConfigResponseInit {
  readonly linux?: LinuxRuntimeConfigurationInit | undefined;
}
function wRuntimeConfigResponse(w: Writer, m: RuntimeConfigResponseInit): void {
  wMessage(w, 10, wLinuxRuntimeConfiguration, m.linux);
}
function rRuntimeConfigResponse(r: Reader, end: number, m: RuntimeConfigResponse = { linux: undefined }): RuntimeConfigResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.linux = rMessage(r, rLinuxRuntimeConfiguration, m.linux); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RuntimeConfigResponse: Codec<RuntimeConfigResponse, RuntimeConfigResponseInit> = /* @__PURE__ */ codec("RuntimeConfigResponse", wRuntimeConfigResponse, rRuntimeConfigResponse);

/** The Linux part. */
export interface LinuxRuntimeConfiguration {
  cgroupDriver: CgroupDriver;
}
export interface LinuxRuntimeConfigurationInit {
  readonly cgroupDriver?: CgroupDriver | undefined;
}
function wLinuxRuntimeConfiguration(w: Writer, m: LinuxRuntimeConfigurationInit): void {
  wInt32(w, 8, m.cgroupDriver);
}
function rLinuxRuntimeConfiguration(r: Reader, end: number, m: LinuxRuntimeConfiguration = { cgroupDriver: 0 }): LinuxRuntimeConfiguration {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.cgroupDriver = r.int32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const LinuxRuntimeConfiguration: Codec<LinuxRuntimeConfiguration, LinuxRuntimeConfigurationInit> = /* @__PURE__ */ codec("LinuxRuntimeConfiguration", wLinuxRuntimeConfiguration, rLinuxRuntimeConfiguration);

/** What the kubelet has learnt about this node. */
export interface UpdateRuntimeConfigRequest {
  runtimeConfig?: RuntimeConfig | undefined;
}
export interface UpdateRuntimeConfigRequestInit {
  readonly runtimeConfig?: RuntimeConfigInit | undefined;
}
function wUpdateRuntimeConfigRequest(w: Writer, m: UpdateRuntimeConfigRequestInit): void {
  wMessage(w, 10, wRuntimeConfig, m.runtimeConfig);
}
function rUpdateRuntimeConfigRequest(r: Reader, end: number, m: UpdateRuntimeConfigRequest = { runtimeConfig: undefined }): UpdateRuntimeConfigRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.runtimeConfig = rMessage(r, rRuntimeConfig, m.runtimeConfig); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const UpdateRuntimeConfigRequest: Codec<UpdateRuntimeConfigRequest, UpdateRuntimeConfigRequestInit> = /* @__PURE__ */ codec("UpdateRuntimeConfigRequest", wUpdateRuntimeConfigRequest, rUpdateRuntimeConfigRequest);

export type UpdateRuntimeConfigResponse = Record<never, never>;
export type UpdateRuntimeConfigResponseInit = Record<never, never>;
function wUpdateRuntimeConfigResponse(_w: Writer, _m: UpdateRuntimeConfigResponseInit): void {
}
function rUpdateRuntimeConfigResponse(r: Reader, end: number, m: UpdateRuntimeConfigResponse = {}): UpdateRuntimeConfigResponse {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const UpdateRuntimeConfigResponse: Codec<UpdateRuntimeConfigResponse, UpdateRuntimeConfigResponseInit> = /* @__PURE__ */ codec("UpdateRuntimeConfigResponse", wUpdateRuntimeConfigResponse, rUpdateRuntimeConfigResponse);

/** The node's settings. */
export interface RuntimeConfig {
  networkConfig?: NetworkConfig | undefined;
}
export interface RuntimeConfigInit {
  readonly networkConfig?: NetworkConfigInit | undefined;
}
function wRuntimeConfig(w: Writer, m: RuntimeConfigInit): void {
  wMessage(w, 10, wNetworkConfig, m.networkConfig);
}
function rRuntimeConfig(r: Reader, end: number, m: RuntimeConfig = { networkConfig: undefined }): RuntimeConfig {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.networkConfig = rMessage(r, rNetworkConfig, m.networkConfig); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RuntimeConfig: Codec<RuntimeConfig, RuntimeConfigInit> = /* @__PURE__ */ codec("RuntimeConfig", wRuntimeConfig, rRuntimeConfig);

/** The node's network. */
export interface NetworkConfig {
  /** Subnets of this node's pods, comma separated; may be empty. */
  podCidr: string;
}
export interface NetworkConfigInit {
  readonly podCidr?: string | undefined;
}
function wNetworkConfig(w: Writer, m: NetworkConfigInit): void {
  wString(w, 10, m.podCidr);
}
function rNetworkConfig(r: Reader, end: number, m: NetworkConfig = { podCidr: "" }): NetworkConfig {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.podCidr = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const NetworkConfig: Codec<NetworkConfig, NetworkConfigInit> = /* @__PURE__ */ codec("NetworkConfig", wNetworkConfig, rNetworkConfig);

/** A number that may be absent. */
export interface Int64Value {
  value: bigint;
}
export interface Int64ValueInit {
  readonly value?: bigint | undefined;
}
function wInt64Value(w: Writer, m: Int64ValueInit): void {
  wInt64(w, 8, m.value);
}
function rInt64Value(r: Reader, end: number, m: Int64Value = { value: 0n }): Int64Value {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.value = rInt64(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const Int64Value: Codec<Int64Value, Int64ValueInit> = /* @__PURE__ */ codec("Int64Value", wInt64Value, rInt64Value);

/** A number that may be absent. */
export interface UInt64Value {
  value: bigint;
}
export interface UInt64ValueInit {
  readonly value?: bigint | undefined;
}
function wUInt64Value(w: Writer, m: UInt64ValueInit): void {
  wUint64(w, 8, m.value);
}
function rUInt64Value(r: Reader, end: number, m: UInt64Value = { value: 0n }): UInt64Value {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.value = rUint64(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const UInt64Value: Codec<UInt64Value, UInt64ValueInit> = /* @__PURE__ */ codec("UInt64Value", wUInt64Value, rUInt64Value);

/** An environment variable. The value is bytes: environments need not be UTF-8. */
export interface KeyValue {
  key: string;
  value: Uint8Array;
}
export interface KeyValueInit {
  readonly key?: string | undefined;
  readonly value?: Uint8Array | undefined;
}
function wKeyValue(w: Writer, m: KeyValueInit): void {
  wString(w, 10, m.key);
  wBytes(w, 18, m.value);
}
function rKeyValue(r: Reader, end: number, m: KeyValue = { key: "", value: new Uint8Array(0) }): KeyValue {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.key = rString(r); break;
      case 18: m.value = rBytes(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const KeyValue: Codec<KeyValue, KeyValueInit> = /* @__PURE__ */ codec("KeyValue", wKeyValue, rKeyValue);

/** Names an image. */
export interface ImageSpec {
  /** An image id, or a reference as a person would type it. */
  image: string;
  /** Kept and given back; nothing is steered by them. */
  annotations: Record<string, string>;
  /** What the pod's author wrote, when `image` is an id. */
  userSpecifiedImage: string;
  /** The handler the image is pulled for. */
  runtimeHandler: string;
  /** The exact image in use, by digest. */
  imageRef: string;
}
export interface ImageSpecInit {
  readonly image?: string | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly userSpecifiedImage?: string | undefined;
  readonly runtimeHandler?: string | undefined;
  readonly imageRef?: string | undefined;
}
function wImageSpec(w: Writer, m: ImageSpecInit): void {
  wString(w, 10, m.image);
  wStringMap(w, 18, m.annotations);
  wString(w, 146, m.userSpecifiedImage);
  wString(w, 154, m.runtimeHandler);
  wString(w, 162, m.imageRef);
}
function rImageSpec(r: Reader, end: number, m: ImageSpec = { image: "", annotations: emptyMap(), userSpecifiedImage: "", runtimeHandler: "", imageRef: "" }): ImageSpec {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.image = rString(r); break;
      case 18: rStringMapItem(r, m.annotations); break;
      case 146: m.userSpecifiedImage = rString(r); break;
      case 154: m.runtimeHandler = rString(r); break;
      case 162: m.imageRef = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ImageSpec: Codec<ImageSpec, ImageSpecInit> = /* @__PURE__ */ codec("ImageSpec", wImageSpec, rImageSpec);

/** A run of ids in a user namespace: `length` ids from `container_id` are ids from `host_id` outside. */
export interface IDMapping {
  hostId: number;
  containerId: number;
  length: number;
}
export interface IDMappingInit {
  readonly hostId?: number | undefined;
  readonly containerId?: number | undefined;
  readonly length?: number | undefined;
}
function wIDMapping(w: Writer, m: IDMappingInit): void {
  wUint32(w, 8, m.hostId);
  wUint32(w, 16, m.containerId);
  wUint32(w, 24, m.length);
}
function rIDMapping(r: Reader, end: number, m: IDMapping = { hostId: 0, containerId: 0, length: 0 }): IDMapping {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.hostId = r.uint32(); break;
      case 16: m.containerId = r.uint32(); break;
      case 24: m.length = r.uint32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const IDMapping: Codec<IDMapping, IDMappingInit> = /* @__PURE__ */ codec("IDMapping", wIDMapping, rIDMapping);

/** All that a pod asks for. */
export interface PodSandboxConfig {
  metadata?: PodSandboxMetadata | undefined;
  /** Empty: the node's name where the pod shares its network, else the runtime's choice. */
  hostname: string;
  /** Absolute folder on the host for the logs of the pod's containers. */
  logDirectory: string;
  /** Absent: the node's resolv.conf. */
  dnsConfig?: DNSConfig | undefined;
  portMappings: PortMapping[];
  /** For selection and display. */
  labels: Record<string, string>;
  /** For display; each handler has its own short list of those that it heeds. */
  annotations: Record<string, string>;
  linux?: LinuxPodSandboxConfig | undefined;
  windows?: WindowsPodSandboxConfig | undefined;
}
export interface PodSandboxConfigInit {
  readonly metadata?: PodSandboxMetadataInit | undefined;
  readonly hostname?: string | undefined;
  readonly logDirectory?: string | undefined;
  readonly dnsConfig?: DNSConfigInit | undefined;
  readonly portMappings?: readonly PortMappingInit[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly linux?: LinuxPodSandboxConfigInit | undefined;
  readonly windows?: WindowsPodSandboxConfigInit | undefined;
}
function wPodSandboxConfig(w: Writer, m: PodSandboxConfigInit): void {
  wMessage(w, 10, wPodSandboxMetadata, m.metadata);
  wString(w, 18, m.hostname);
  wString(w, 26, m.logDirectory);
  wMessage(w, 34, wDNSConfig, m.dnsConfig);
  wMessages(w, 42, wPortMapping, m.portMappings);
  wStringMap(w, 50, m.labels);
  wStringMap(w, 58, m.annotations);
  wMessage(w, 66, wLinuxPodSandboxConfig, m.linux);
  wMessage(w, 74, wWindowsPodSandboxConfig, m.windows);
}
function rPodSandboxConfig(r: Reader, end: number, m: PodSandboxConfig = { metadata: undefined, hostname: "", logDirectory: "", dnsConfig: undefined, portMappings: [], labels: emptyMap(), annotations: emptyMap(), linux: undefined, windows: undefined }): PodSandboxConfig {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.metadata = rMessage(r, rPodSandboxMetadata, m.metadata); break;
      case 18: m.hostname = rString(r); break;
      case 26: m.logDirectory = rString(r); break;
      case 34: m.dnsConfig = rMessage(r, rDNSConfig, m.dnsConfig); break;
      case 42: rMessagesItem(r, rPortMapping, m.portMappings); break;
      case 50: rStringMapItem(r, m.labels); break;
      case 58: rStringMapItem(r, m.annotations); break;
      case 66: m.linux = rMessage(r, rLinuxPodSandboxConfig, m.linux); break;
      case 74: m.windows = rMessage(r, rWindowsPodSandboxConfig, m.windows); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PodSandboxConfig: Codec<PodSandboxConfig, PodSandboxConfigInit> = /* @__PURE__ */ codec("PodSandboxConfig", wPodSandboxConfig, rPodSandboxConfig);

/** Together these four name a sandbox; two with the same four cannot both exist. */
export interface PodSandboxMetadata {
  name: string;
  uid: string;
  namespace: string;
  /** Counts the sandboxes of one pod. */
  attempt: number;
}
export interface PodSandboxMetadataInit {
  readonly name?: string | undefined;
  readonly uid?: string | undefined;
  readonly namespace?: string | undefined;
  readonly attempt?: number | undefined;
}
function wPodSandboxMetadata(w: Writer, m: PodSandboxMetadataInit): void {
  wString(w, 10, m.name);
  wString(w, 18, m.uid);
  wString(w, 26, m.namespace);
  wUint32(w, 32, m.attempt);
}
function rPodSandboxMetadata(r: Reader, end: number, m: PodSandboxMetadata = { name: "", uid: "", namespace: "", attempt: 0 }): PodSandboxMetadata {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.name = rString(r); break;
      case 18: m.uid = rString(r); break;
      case 26: m.namespace = rString(r); break;
      case 32: m.attempt = r.uint32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PodSandboxMetadata: Codec<PodSandboxMetadata, PodSandboxMetadataInit> = /* @__PURE__ */ codec("PodSandboxMetadata", wPodSandboxMetadata, rPodSandboxMetadata);

/** The lines of the pod's resolv.conf. */
export interface DNSConfig {
  servers: string[];
  searches: string[];
  options: string[];
}
export interface DNSConfigInit {
  readonly servers?: readonly string[] | undefined;
  readonly searches?: readonly string[] | undefined;
  readonly options?: readonly string[] | undefined;
}
function wDNSConfig(w: Writer, m: DNSConfigInit): void {
  wStrings(w, 10, m.servers);
  wStrings(w, 18, m.searches);
  wStrings(w, 26, m.options);
}
function rDNSConfig(r: Reader, end: number, m: DNSConfig = { servers: [], searches: [], options: [] }): DNSConfig {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rStringsItem(r, m.servers); break;
      case 18: rStringsItem(r, m.searches); break;
      case 26: rStringsItem(r, m.options); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const DNSConfig: Codec<DNSConfig, DNSConfigInit> = /* @__PURE__ */ codec("DNSConfig", wDNSConfig, rDNSConfig);

/** A port of the host that leads to a port of the pod. */
export interface PortMapping {
  protocol: Protocol;
  containerPort: number;
  /** 0: no port of the host. */
  hostPort: number;
  /** Empty: all addresses of the host. */
  hostIp: string;
}
export interface PortMappingInit {
  readonly protocol?: Protocol | undefined;
  readonly containerPort?: number | undefined;
  readonly hostPort?: number | undefined;
  readonly hostIp?: string | undefined;
}
function wPortMapping(w: Writer, m: PortMappingInit): void {
  wInt32(w, 8, m.protocol);
  wInt32(w, 16, m.containerPort);
  wInt32(w, 24, m.hostPort);
  wString(w, 34, m.hostIp);
}
function rPortMapping(r: Reader, end: number, m: PortMapping = { protocol: 0, containerPort: 0, hostPort: 0, hostIp: "" }): PortMapping {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.protocol = r.int32(); break;
      case 16: m.containerPort = r.int32(); break;
      case 24: m.hostPort = r.int32(); break;
      case 34: m.hostIp = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PortMapping: Codec<PortMapping, PortMappingInit> = /* @__PURE__ */ codec("PortMapping", wPortMapping, rPortMapping);

/** The Linux part of a pod. */
export interface LinuxPodSandboxConfig {
  /** The pod's cgroup, made by the kubelet, as the cgroup driver writes it. Empty: the root. */
  cgroupParent: string;
  securityContext?: LinuxSandboxSecurityContext | undefined;
  /** Only those that belong to the pod's own namespaces are taken. */
  sysctls: Record<string, string>;
  /** What the handler itself costs, by RuntimeClass. */
  overhead?: LinuxContainerResources | undefined;
  /** The sum of the containers' requests. */
  resources?: LinuxContainerResources | undefined;
}
export interface LinuxPodSandboxConfigInit {
  readonly cgroupParent?: string | undefined;
  readonly securityContext?: LinuxSandboxSecurityContextInit | undefined;
  readonly sysctls?: Readonly<Record<string, string>> | undefined;
  readonly overhead?: LinuxContainerResourcesInit | undefined;
  readonly resources?: LinuxContainerResourcesInit | undefined;
}
function wLinuxPodSandboxConfig(w: Writer, m: LinuxPodSandboxConfigInit): void {
  wString(w, 10, m.cgroupParent);
  wMessage(w, 18, wLinuxSandboxSecurityContext, m.securityContext);
  wStringMap(w, 26, m.sysctls);
  wMessage(w, 34, wLinuxContainerResources, m.overhead);
  wMessage(w, 42, wLinuxContainerResources, m.resources);
}
function rLinuxPodSandboxConfig(r: Reader, end: number, m: LinuxPodSandboxConfig = { cgroupParent: "", securityContext: undefined, sysctls: emptyMap(), overhead: undefined, resources: undefined }): LinuxPodSandboxConfig {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.cgroupParent = rString(r); break;
      case 18: m.securityContext = rMessage(r, rLinuxSandboxSecurityContext, m.securityContext); break;
      case 26: rStringMapItem(r, m.sysctls); break;
      case 34: m.overhead = rMessage(r, rLinuxContainerResources, m.overhead); break;
      case 42: m.resources = rMessage(r, rLinuxContainerResources, m.resources); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const LinuxPodSandboxConfig: Codec<LinuxPodSandboxConfig, LinuxPodSandboxConfigInit> = /* @__PURE__ */ codec("LinuxPodSandboxConfig", wLinuxPodSandboxConfig, rLinuxPodSandboxConfig);

/** Security settings of the sandbox itself. */
export interface LinuxSandboxSecurityContext {
  namespaceOptions?: NamespaceOption | undefined;
  selinuxOptions?: SELinuxOption | undefined;
  runAsUser?: Int64Value | undefined;
  readonlyRootfs: boolean;
  supplementalGroups: bigint[];
  /** Whether privileged containers may be created in it. */
  privileged: boolean;
  /** Replaced by `seccomp`. */
  seccompProfilePath: string;
  runAsGroup?: Int64Value | undefined;
  seccomp?: SecurityProfile | undefined;
  apparmor?: SecurityProfile | undefined;
  supplementalGroupsPolicy: SupplementalGroupsPolicy;
}
export interface LinuxSandboxSecurityContextInit {
  readonly namespaceOptions?: NamespaceOptionInit | undefined;
  readonly selinuxOptions?: SELinuxOptionInit | undefined;
  readonly runAsUser?: Int64ValueInit | undefined;
  readonly readonlyRootfs?: boolean | undefined;
  readonly supplementalGroups?: readonly bigint[] | undefined;
  readonly privileged?: boolean | undefined;
  readonly seccompProfilePath?: string | undefined;
  readonly runAsGroup?: Int64ValueInit | undefined;
  readonly seccomp?: SecurityProfileInit | undefined;
  readonly apparmor?: SecurityProfileInit | undefined;
  readonly supplementalGroupsPolicy?: SupplementalGroupsPolicy | undefined;
}
function wLinuxSandboxSecurityContext(w: Writer, m: LinuxSandboxSecurityContextInit): void {
  wMessage(w, 10, wNamespaceOption, m.namespaceOptions);
  wMessage(w, 18, wSELinuxOption, m.selinuxOptions);
  wMessage(w, 26, wInt64Value, m.runAsUser);
  wBool(w, 32, m.readonlyRootfs);
  wInt64s(w, 42, m.supplementalGroups);
  wBool(w, 48, m.privileged);
  wString(w, 58, m.seccompProfilePath);
  wMessage(w, 66, wInt64Value, m.runAsGroup);
  wMessage(w, 74, wSecurityProfile, m.seccomp);
  wMessage(w, 82, wSecurityProfile, m.apparmor);
  wInt32(w, 88, m.supplementalGroupsPolicy);
}
function rLinuxSandboxSecurityContext(r: Reader, end: number, m: LinuxSandboxSecurityContext = { namespaceOptions: undefined, selinuxOptions: undefined, runAsUser: undefined, readonlyRootfs: false, supplementalGroups: [], privileged: false, seccompProfilePath: "", runAsGroup: undefined, seccomp: undefined, apparmor: undefined, supplementalGroupsPolicy: 0 }): LinuxSandboxSecurityContext {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.namespaceOptions = rMessage(r, rNamespaceOption, m.namespaceOptions); break;
      case 18: m.selinuxOptions = rMessage(r, rSELinuxOption, m.selinuxOptions); break;
      case 26: m.runAsUser = rMessage(r, rInt64Value, m.runAsUser); break;
      case 32: m.readonlyRootfs = r.bool(); break;
      case 42: rPacked(r, rInt64, m.supplementalGroups); break;
      case 40: rItem(r, rInt64, m.supplementalGroups); break;
      case 48: m.privileged = r.bool(); break;
      case 58: m.seccompProfilePath = rString(r); break;
      case 66: m.runAsGroup = rMessage(r, rInt64Value, m.runAsGroup); break;
      case 74: m.seccomp = rMessage(r, rSecurityProfile, m.seccomp); break;
      case 82: m.apparmor = rMessage(r, rSecurityProfile, m.apparmor); break;
      case 88: m.supplementalGroupsPolicy = r.int32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const LinuxSandboxSecurityContext: Codec<LinuxSandboxSecurityContext, LinuxSandboxSecurityContextInit> = /* @__PURE__ */ codec("LinuxSandboxSecurityContext", wLinuxSandboxSecurityContext, rLinuxSandboxSecurityContext);

/** Which namespaces a pod or container has for itself. */
export interface NamespaceOption {
  /** POD or NODE. */
  network: NamespaceMode;
  /** POD, CONTAINER, NODE or TARGET. */
  pid: NamespaceMode;
  /** POD or NODE. */
  ipc: NamespaceMode;
  /** The container whose PID namespace is joined, with TARGET. */
  targetId: string;
  usernsOptions?: UserNamespace | undefined;
}
export interface NamespaceOptionInit {
  readonly network?: NamespaceMode | undefined;
  readonly pid?: NamespaceMode | undefined;
  readonly ipc?: NamespaceMode | undefined;
  readonly targetId?: string | undefined;
  readonly usernsOptions?: UserNamespaceInit | undefined;
}
function wNamespaceOption(w: Writer, m: NamespaceOptionInit): void {
  wInt32(w, 8, m.network);
  wInt32(w, 16, m.pid);
  wInt32(w, 24, m.ipc);
  wString(w, 34, m.targetId);
  wMessage(w, 42, wUserNamespace, m.usernsOptions);
}
function rNamespaceOption(r: Reader, end: number, m: NamespaceOption = { network: 0, pid: 0, ipc: 0, targetId: "", usernsOptions: undefined }): NamespaceOption {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.network = r.int32(); break;
      case 16: m.pid = r.int32(); break;
      case 24: m.ipc = r.int32(); break;
      case 34: m.targetId = rString(r); break;
      case 42: m.usernsOptions = rMessage(r, rUserNamespace, m.usernsOptions); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const NamespaceOption: Codec<NamespaceOption, NamespaceOptionInit> = /* @__PURE__ */ codec("NamespaceOption", wNamespaceOption, rNamespaceOption);

/** POD with mappings, or NODE for none. */
export interface UserNamespace {
  mode: NamespaceMode;
  uids: IDMapping[];
  gids: IDMapping[];
}
export interface UserNamespaceInit {
  readonly mode?: NamespaceMode | undefined;
  readonly uids?: readonly IDMappingInit[] | undefined;
  readonly gids?: readonly IDMappingInit[] | undefined;
}
function wUserNamespace(w: Writer, m: UserNamespaceInit): void {
  wInt32(w, 8, m.mode);
  wMessages(w, 18, wIDMapping, m.uids);
  wMessages(w, 26, wIDMapping, m.gids);
}
function rUserNamespace(r: Reader, end: number, m: UserNamespace = { mode: 0, uids: [], gids: [] }): UserNamespace {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.mode = r.int32(); break;
      case 18: rMessagesItem(r, rIDMapping, m.uids); break;
      case 26: rMessagesItem(r, rIDMapping, m.gids); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const UserNamespace: Codec<UserNamespace, UserNamespaceInit> = /* @__PURE__ */ codec("UserNamespace", wUserNamespace, rUserNamespace);

/** A seccomp or AppArmor profile. */
export interface SecurityProfile {
  profileType: ProfileType;
  /** An absolute path (seccomp) or a loaded name (AppArmor). */
  localhostRef: string;
}
export interface SecurityProfileInit {
  readonly profileType?: ProfileType | undefined;
  readonly localhostRef?: string | undefined;
}
function wSecurityProfile(w: Writer, m: SecurityProfileInit): void {
  wInt32(w, 8, m.profileType);
  wString(w, 18, m.localhostRef);
}
function rSecurityProfile(r: Reader, end: number, m: SecurityProfile = { profileType: 0, localhostRef: "" }): SecurityProfile {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.profileType = r.int32(); break;
      case 18: m.localhostRef = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const SecurityProfile: Codec<SecurityProfile, SecurityProfileInit> = /* @__PURE__ */ codec("SecurityProfile", wSecurityProfile, rSecurityProfile);

/** The parts of an SELinux label. */
export interface SELinuxOption {
  user: string;
  role: string;
  type: string;
  level: string;
}
export interface SELinuxOptionInit {
  readonly user?: string | undefined;
  readonly role?: string | undefined;
  readonly type?: string | undefined;
  readonly level?: string | undefined;
}
function wSELinuxOption(w: Writer, m: SELinuxOptionInit): void {
  wString(w, 10, m.user);
  wString(w, 18, m.role);
  wString(w, 26, m.type);
  wString(w, 34, m.level);
}
function rSELinuxOption(r: Reader, end: number, m: SELinuxOption = { user: "", role: "", type: "", level: "" }): SELinuxOption {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.user = rString(r); break;
      case 18: m.role = rString(r); break;
      case 26: m.type = rString(r); break;
      case 34: m.level = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const SELinuxOption: Codec<SELinuxOption, SELinuxOptionInit> = /* @__PURE__ */ codec("SELinuxOption", wSELinuxOption, rSELinuxOption);

export interface RunPodSandboxRequest {
  config?: PodSandboxConfig | undefined;
  /** Empty: the default handler. */
  runtimeHandler: string;
}
export interface RunPodSandboxRequestInit {
  readonly config?: PodSandboxConfigInit | undefined;
  readonly runtimeHandler?: string | undefined;
}
function wRunPodSandboxRequest(w: Writer, m: RunPodSandboxRequestInit): void {
  wMessage(w, 10, wPodSandboxConfig, m.config);
  wString(w, 18, m.runtimeHandler);
}
function rRunPodSandboxRequest(r: Reader, end: number, m: RunPodSandboxRequest = { config: undefined, runtimeHandler: "" }): RunPodSandboxRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.config = rMessage(r, rPodSandboxConfig, m.config); break;
      case 18: m.runtimeHandler = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RunPodSandboxRequest: Codec<RunPodSandboxRequest, RunPodSandboxRequestInit> = /* @__PURE__ */ codec("RunPodSandboxRequest", wRunPodSandboxRequest, rRunPodSandboxRequest);

export interface RunPodSandboxResponse {
  podSandboxId: string;
}
export interface RunPodSandboxResponseInit {
  readonly podSandboxId?: string | undefined;
}
function wRunPodSandboxResponse(w: Writer, m: RunPodSandboxResponseInit): void {
  wString(w, 10, m.podSandboxId);
}
function rRunPodSandboxResponse(r: Reader, end: number, m: RunPodSandboxResponse = { podSandboxId: "" }): RunPodSandboxResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.podSandboxId = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RunPodSandboxResponse: Codec<RunPodSandboxResponse, RunPodSandboxResponseInit> = /* @__PURE__ */ codec("RunPodSandboxResponse", wRunPodSandboxResponse, rRunPodSandboxResponse);

export interface StopPodSandboxRequest {
  podSandboxId: string;
}
export interface StopPodSandboxRequestInit {
  readonly podSandboxId?: string | undefined;
}
function wStopPodSandboxRequest(w: Writer, m: StopPodSandboxRequestInit): void {
  wString(w, 10, m.podSandboxId);
}
function rStopPodSandboxRequest(r: Reader, end: number, m: StopPodSandboxRequest = { podSandboxId: "" }): StopPodSandboxRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.podSandboxId = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StopPodSandboxRequest: Codec<StopPodSandboxRequest, StopPodSandboxRequestInit> = /* @__PURE__ */ codec("StopPodSandboxRequest", wStopPodSandboxRequest, rStopPodSandboxRequest);

export type StopPodSandboxResponse = Record<never, never>;
export type StopPodSandboxResponseInit = Record<never, never>;
function wStopPodSandboxResponse(_w: Writer, _m: StopPodSandboxResponseInit): void {
}
function rStopPodSandboxResponse(r: Reader, end: number, m: StopPodSandboxResponse = {}): StopPodSandboxResponse {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const StopPodSandboxResponse: Codec<StopPodSandboxResponse, StopPodSandboxResponseInit> = /* @__PURE__ */ codec("StopPodSandboxResponse", wStopPodSandboxResponse, rStopPodSandboxResponse);

export interface RemovePodSandboxRequest {
  podSandboxId: string;
}
export interface RemovePodSandboxRequestInit {
  readonly podSandboxId?: string | undefined;
}
function wRemovePodSandboxRequest(w: Writer, m: RemovePodSandboxRequestInit): void {
  wString(w, 10, m.podSandboxId);
}
function rRemovePodSandboxRequest(r: Reader, end: number, m: RemovePodSandboxRequest = { podSandboxId: "" }): RemovePodSandboxRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.podSandboxId = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RemovePodSandboxRequest: Codec<RemovePodSandboxRequest, RemovePodSandboxRequestInit> = /* @__PURE__ */ codec("RemovePodSandboxRequest", wRemovePodSandboxRequest, rRemovePodSandboxRequest);

export type RemovePodSandboxResponse = Record<never, never>;
export type RemovePodSandboxResponseInit = Record<never, never>;
function wRemovePodSandboxResponse(_w: Writer, _m: RemovePodSandboxResponseInit): void {
}
function rRemovePodSandboxResponse(r: Reader, end: number, m: RemovePodSandboxResponse = {}): RemovePodSandboxResponse {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const RemovePodSandboxResponse: Codec<RemovePodSandboxResponse, RemovePodSandboxResponseInit> = /* @__PURE__ */ codec("RemovePodSandboxResponse", wRemovePodSandboxResponse, rRemovePodSandboxResponse);

/** The limits of a pod after a resize. */
export interface UpdatePodSandboxResourcesRequest {
  podSandboxId: string;
  overhead?: LinuxContainerResources | undefined;
  resources?: LinuxContainerResources | undefined;
}
export interface UpdatePodSandboxResourcesRequestInit {
  readonly podSandboxId?: string | undefined;
  readonly overhead?: LinuxContainerResourcesInit | undefined;
  readonly resources?: LinuxContainerResourcesInit | undefined;
}
function wUpdatePodSandboxResourcesRequest(w: Writer, m: UpdatePodSandboxResourcesRequestInit): void {
  wString(w, 10, m.podSandboxId);
  wMessage(w, 18, wLinuxContainerResources, m.overhead);
  wMessage(w, 26, wLinuxContainerResources, m.resources);
}
function rUpdatePodSandboxResourcesRequest(r: Reader, end: number, m: UpdatePodSandboxResourcesRequest = { podSandboxId: "", overhead: undefined, resources: undefined }): UpdatePodSandboxResourcesRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.podSandboxId = rString(r); break;
      case 18: m.overhead = rMessage(r, rLinuxContainerResources, m.overhead); break;
      case 26: m.resources = rMessage(r, rLinuxContainerResources, m.resources); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const UpdatePodSandboxResourcesRequest: Codec<UpdatePodSandboxResourcesRequest, UpdatePodSandboxResourcesRequestInit> = /* @__PURE__ */ codec("UpdatePodSandboxResourcesRequest", wUpdatePodSandboxResourcesRequest, rUpdatePodSandboxResourcesRequest);

export type UpdatePodSandboxResourcesResponse = Record<never, never>;
export type UpdatePodSandboxResourcesResponseInit = Record<never, never>;
function wUpdatePodSandboxResourcesResponse(_w: Writer, _m: UpdatePodSandboxResourcesResponseInit): void {
}
function rUpdatePodSandboxResourcesResponse(r: Reader, end: number, m: UpdatePodSandboxResourcesResponse = {}): UpdatePodSandboxResourcesResponse {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const UpdatePodSandboxResourcesResponse: Codec<UpdatePodSandboxResourcesResponse, UpdatePodSandboxResourcesResponseInit> = /* @__PURE__ */ codec("UpdatePodSandboxResourcesResponse", wUpdatePodSandboxResourcesResponse, rUpdatePodSandboxResourcesResponse);

export interface PodSandboxStateValue {
  state: PodSandboxState;
}
export interface PodSandboxStateValueInit {
  readonly state?: PodSandboxState | undefined;
}
function wPodSandboxStateValue(w: Writer, m: PodSandboxStateValueInit): void {
  wInt32(w, 8, m.state);
}
function rPodSandboxStateValue(r: Reader, end: number, m: PodSandboxStateValue = { state: 0 }): PodSandboxStateValue {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.state = r.int32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PodSandboxStateValue: Codec<PodSandboxStateValue, PodSandboxStateValueInit> = /* @__PURE__ */ codec("PodSandboxStateValue", wPodSandboxStateValue, rPodSandboxStateValue);

export interface PodSandboxStatusRequest {
  podSandboxId: string;
  /** Also fill `info`. */
  verbose: boolean;
}
export interface PodSandboxStatusRequestInit {
  readonly podSandboxId?: string | undefined;
  readonly verbose?: boolean | undefined;
}
function wPodSandboxStatusRequest(w: Writer, m: PodSandboxStatusRequestInit): void {
  wString(w, 10, m.podSandboxId);
  wBool(w, 16, m.verbose);
}
function rPodSandboxStatusRequest(r: Reader, end: number, m: PodSandboxStatusRequest = { podSandboxId: "", verbose: false }): PodSandboxStatusRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.podSandboxId = rString(r); break;
      case 16: m.verbose = r.bool(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PodSandboxStatusRequest: Codec<PodSandboxStatusRequest, PodSandboxStatusRequestInit> = /* @__PURE__ */ codec("PodSandboxStatusRequest", wPodSandboxStatusRequest, rPodSandboxStatusRequest);

/** A sandbox in full. */
export interface PodSandboxStatusResponse {
  status?: PodSandboxStatus | undefined;
  info: Record<string, string>;
  /** Filled when a kubelet with evented PLEG asks. */
  containersStatuses: ContainerStatus[];
  /** When this answer was true, ns. */
  timestamp: bigint;
}
export interface PodSandboxStatusResponseInit {
  readonly status?: PodSandboxStatusInit | undefined;
  readonly info?: Readonly<Record<string, string>> | undefined;
  readonly containersStatuses?: readonly ContainerStatusInit[] | undefined;
  readonly timestamp?: bigint | undefined;
}
function wPodSandboxStatusResponse(w: Writer, m: PodSandboxStatusResponseInit): void {
  wMessage(w, 10, wPodSandboxStatus, m.status);
  wStringMap(w, 18, m.info);
  wMessages(w, 26, wContainerStatus, m.containersStatuses);
  wInt64(w, 32, m.timestamp);
}
function rPodSandboxStatusResponse(r: Reader, end: number, m: PodSandboxStatusResponse = { status: undefined, info: emptyMap(), containersStatuses: [], timestamp: 0n }): PodSandboxStatusResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.status = rMessage(r, rPodSandboxStatus, m.status); break;
      case 18: rStringMapItem(r, m.info); break;
      case 26: rMessagesItem(r, rContainerStatus, m.containersStatuses); break;
      case 32: m.timestamp = rInt64(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PodSandboxStatusResponse: Codec<PodSandboxStatusResponse, PodSandboxStatusResponseInit> = /* @__PURE__ */ codec("PodSandboxStatusResponse", wPodSandboxStatusResponse, rPodSandboxStatusResponse);

export interface PodSandboxStatus {
  id: string;
  metadata?: PodSandboxMetadata | undefined;
  state: PodSandboxState;
  createdAt: bigint;
  network?: PodSandboxNetworkStatus | undefined;
  linux?: LinuxPodSandboxStatus | undefined;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  runtimeHandler: string;
}
export interface PodSandboxStatusInit {
  readonly id?: string | undefined;
  readonly metadata?: PodSandboxMetadataInit | undefined;
  readonly state?: PodSandboxState | undefined;
  readonly createdAt?: bigint | undefined;
  readonly network?: PodSandboxNetworkStatusInit | undefined;
  readonly linux?: LinuxPodSandboxStatusInit | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly runtimeHandler?: string | undefined;
}
function wPodSandboxStatus(w: Writer, m: PodSandboxStatusInit): void {
  wString(w, 10, m.id);
  wMessage(w, 18, wPodSandboxMetadata, m.metadata);
  wInt32(w, 24, m.state);
  wInt64(w, 32, m.createdAt);
  wMessage(w, 42, wPodSandboxNetworkStatus, m.network);
  wMessage(w, 50, wLinuxPodSandboxStatus, m.linux);
  wStringMap(w, 58, m.labels);
  wStringMap(w, 66, m.annotations);
  wString(w, 74, m.runtimeHandler);
}
function rPodSandboxStatus(r: Reader, end: number, m: PodSandboxStatus = { id: "", metadata: undefined, state: 0, createdAt: 0n, network: undefined, linux: undefined, labels: emptyMap(), annotations: emptyMap(), runtimeHandler: "" }): PodSandboxStatus {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.metadata = rMessage(r, rPodSandboxMetadata, m.metadata); break;
      case 24: m.state = r.int32(); break;
      case 32: m.createdAt = rInt64(r); break;
      case 42: m.network = rMessage(r, rPodSandboxNetworkStatus, m.network); break;
      case 50: m.linux = rMessage(r, rLinuxPodSandboxStatus, m.linux); break;
      case 58: rStringMapItem(r, m.labels); break;
      case 66: rStringMapItem(r, m.annotations); break;
      case 74: m.runtimeHandler = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PodSandboxStatus: Codec<PodSandboxStatus, PodSandboxStatusInit> = /* @__PURE__ */ codec("PodSandboxStatus", wPodSandboxStatus, rPodSandboxStatus);

/** The pod's addresses; `ip` is the preferred one. */
export interface PodSandboxNetworkStatus {
  ip: string;
  additionalIps: PodIP[];
}
export interface PodSandboxNetworkStatusInit {
  readonly ip?: string | undefined;
  readonly additionalIps?: readonly PodIPInit[] | undefined;
}
function wPodSandboxNetworkStatus(w: Writer, m: PodSandboxNetworkStatusInit): void {
  wString(w, 10, m.ip);
  wMessages(w, 18, wPodIP, m.additionalIps);
}
function rPodSandboxNetworkStatus(r: Reader, end: number, m: PodSandboxNetworkStatus = { ip: "", additionalIps: [] }): PodSandboxNetworkStatus {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.ip = rString(r); break;
      case 18: rMessagesItem(r, rPodIP, m.additionalIps); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PodSandboxNetworkStatus: Codec<PodSandboxNetworkStatus, PodSandboxNetworkStatusInit> = /* @__PURE__ */ codec("PodSandboxNetworkStatus", wPodSandboxNetworkStatus, rPodSandboxNetworkStatus);

/** One further address. */
export interface PodIP {
  ip: string;
}
export interface PodIPInit {
  readonly ip?: string | undefined;
}
function wPodIP(w: Writer, m: PodIPInit): void {
  wString(w, 10, m.ip);
}
function rPodIP(r: Reader, end: number, m: PodIP = { ip: "" }): PodIP {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.ip = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PodIP: Codec<PodIP, PodIPInit> = /* @__PURE__ */ codec("PodIP", wPodIP, rPodIP);

export interface LinuxPodSandboxStatus {
  namespaces?: Namespace | undefined;
}
export interface LinuxPodSandboxStatusInit {
  readonly namespaces?: NamespaceInit | undefined;
}
function wLinuxPodSandboxStatus(w: Writer, m: LinuxPodSandboxStatusInit): void {
  wMessage(w, 10, wNamespace, m.namespaces);
}
function rLinuxPodSandboxStatus(r: Reader, end: number, m: LinuxPodSandboxStatus = { namespaces: undefined }): LinuxPodSandboxStatus {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.namespaces = rMessage(r, rNamespace, m.namespaces); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const LinuxPodSandboxStatus: Codec<LinuxPodSandboxStatus, LinuxPodSandboxStatusInit> = /* @__PURE__ */ codec("LinuxPodSandboxStatus", wLinuxPodSandboxStatus, rLinuxPodSandboxStatus);

/** Namespaces by their modes. */
export interface Namespace {
  options?: NamespaceOption | undefined;
}
export interface NamespaceInit {
  readonly options?: NamespaceOptionInit | undefined;
}
function wNamespace(w: Writer, m: NamespaceInit): void {
  wMessage(w, 18, wNamespaceOption, m.options);
}
function rNamespace(r: Reader, end: number, m: Namespace = { options: undefined }): Namespace {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 18: m.options = rMessage(r, rNamespaceOption, m.options); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const Namespace: Codec<Namespace, NamespaceInit> = /* @__PURE__ */ codec("Namespace", wNamespace, rNamespace);

/** All parts that are given must match. */
export interface PodSandboxFilter {
  /** May be a prefix. */
  id: string;
  state?: PodSandboxStateValue | undefined;
  /** Every pair must be among the labels. */
  labelSelector: Record<string, string>;
}
export interface PodSandboxFilterInit {
  readonly id?: string | undefined;
  readonly state?: PodSandboxStateValueInit | undefined;
  readonly labelSelector?: Readonly<Record<string, string>> | undefined;
}
function wPodSandboxFilter(w: Writer, m: PodSandboxFilterInit): void {
  wString(w, 10, m.id);
  wMessage(w, 18, wPodSandboxStateValue, m.state);
  wStringMap(w, 26, m.labelSelector);
}
function rPodSandboxFilter(r: Reader, end: number, m: PodSandboxFilter = { id: "", state: undefined, labelSelector: emptyMap() }): PodSandboxFilter {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.state = rMessage(r, rPodSandboxStateValue, m.state); break;
      case 26: rStringMapItem(r, m.labelSelector); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PodSandboxFilter: Codec<PodSandboxFilter, PodSandboxFilterInit> = /* @__PURE__ */ codec("PodSandboxFilter", wPodSandboxFilter, rPodSandboxFilter);

export interface ListPodSandboxRequest {
  filter?: PodSandboxFilter | undefined;
}
export interface ListPodSandboxRequestInit {
  readonly filter?: PodSandboxFilterInit | undefined;
}
function wListPodSandboxRequest(w: Writer, m: ListPodSandboxRequestInit): void {
  wMessage(w, 10, wPodSandboxFilter, m.filter);
}
function rListPodSandboxRequest(r: Reader, end: number, m: ListPodSandboxRequest = { filter: undefined }): ListPodSandboxRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.filter = rMessage(r, rPodSandboxFilter, m.filter); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ListPodSandboxRequest: Codec<ListPodSandboxRequest, ListPodSandboxRequestInit> = /* @__PURE__ */ codec("ListPodSandboxRequest", wListPodSandboxRequest, rListPodSandboxRequest);

export interface ListPodSandboxResponse {
  items: PodSandbox[];
}
export interface ListPodSandboxResponseInit {
  readonly items?: readonly PodSandboxInit[] | undefined;
}
function wListPodSandboxResponse(w: Writer, m: ListPodSandboxResponseInit): void {
  wMessages(w, 10, wPodSandbox, m.items);
}
function rListPodSandboxResponse(r: Reader, end: number, m: ListPodSandboxResponse = { items: [] }): ListPodSandboxResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rMessagesItem(r, rPodSandbox, m.items); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ListPodSandboxResponse: Codec<ListPodSandboxResponse, ListPodSandboxResponseInit> = /* @__PURE__ */ codec("ListPodSandboxResponse", wListPodSandboxResponse, rListPodSandboxResponse);

/** A sandbox in short. */
export interface PodSandbox {
  id: string;
  metadata?: PodSandboxMetadata | undefined;
  state: PodSandboxState;
  createdAt: bigint;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  runtimeHandler: string;
}
export interface PodSandboxInit {
  readonly id?: string | undefined;
  readonly metadata?: PodSandboxMetadataInit | undefined;
  readonly state?: PodSandboxState | undefined;
  readonly createdAt?: bigint | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly runtimeHandler?: string | undefined;
}
function wPodSandbox(w: Writer, m: PodSandboxInit): void {
  wString(w, 10, m.id);
  wMessage(w, 18, wPodSandboxMetadata, m.metadata);
  wInt32(w, 24, m.state);
  wInt64(w, 32, m.createdAt);
  wStringMap(w, 42, m.labels);
  wStringMap(w, 50, m.annotations);
  wString(w, 58, m.runtimeHandler);
}
function rPodSandbox(r: Reader, end: number, m: PodSandbox = { id: "", metadata: undefined, state: 0, createdAt: 0n, labels: emptyMap(), annotations: emptyMap(), runtimeHandler: "" }): PodSandbox {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.metadata = rMessage(r, rPodSandboxMetadata, m.metadata); break;
      case 24: m.state = r.int32(); break;
      case 32: m.createdAt = rInt64(r); break;
      case 42: rStringMapItem(r, m.labels); break;
      case 50: rStringMapItem(r, m.annotations); break;
      case 58: m.runtimeHandler = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PodSandbox: Codec<PodSandbox, PodSandboxInit> = /* @__PURE__ */ codec("PodSandbox", wPodSandbox, rPodSandbox);

export interface StreamPodSandboxesRequest {
  filter?: PodSandboxFilter | undefined;
}
export interface StreamPodSandboxesRequestInit {
  readonly filter?: PodSandboxFilterInit | undefined;
}
function wStreamPodSandboxesRequest(w: Writer, m: StreamPodSandboxesRequestInit): void {
  wMessage(w, 10, wPodSandboxFilter, m.filter);
}
function rStreamPodSandboxesRequest(r: Reader, end: number, m: StreamPodSandboxesRequest = { filter: undefined }): StreamPodSandboxesRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.filter = rMessage(r, rPodSandboxFilter, m.filter); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StreamPodSandboxesRequest: Codec<StreamPodSandboxesRequest, StreamPodSandboxesRequestInit> = /* @__PURE__ */ codec("StreamPodSandboxesRequest", wStreamPodSandboxesRequest, rStreamPodSandboxesRequest);

export interface StreamPodSandboxesResponse {
  podSandboxes: PodSandbox[];
}
export interface StreamPodSandboxesResponseInit {
  readonly podSandboxes?: readonly PodSandboxInit[] | undefined;
}
function wStreamPodSandboxesResponse(w: Writer, m: StreamPodSandboxesResponseInit): void {
  wMessages(w, 10, wPodSandbox, m.podSandboxes);
}
function rStreamPodSandboxesResponse(r: Reader, end: number, m: StreamPodSandboxesResponse = { podSandboxes: [] }): StreamPodSandboxesResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rMessagesItem(r, rPodSandbox, m.podSandboxes); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StreamPodSandboxesResponse: Codec<StreamPodSandboxesResponse, StreamPodSandboxesResponseInit> = /* @__PURE__ */ codec("StreamPodSandboxesResponse", wStreamPodSandboxesResponse, rStreamPodSandboxesResponse);

/** All that a container asks for. */
export interface ContainerConfig {
  metadata?: ContainerMetadata | undefined;
  image?: ImageSpec | undefined;
  /** Replaces the image's entrypoint when not empty. */
  command: string[];
  /** Replaces the image's command when not empty. */
  args: string[];
  /** Empty: the image's. */
  workingDir: string;
  envs: KeyValue[];
  mounts: Mount[];
  devices: Device[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** Below the pod's log_directory. */
  logPath: string;
  stdin: boolean;
  /** Close stdin when the first attached client leaves. */
  stdinOnce: boolean;
  tty: boolean;
  linux?: LinuxContainerConfig | undefined;
  windows?: WindowsContainerConfig | undefined;
  cdiDevices: CDIDevice[];
  /** SIGNAL_RUNTIME_DEFAULT: the image's, else SIGTERM. */
  stopSignal: Signal;
}
export interface ContainerConfigInit {
  readonly metadata?: ContainerMetadataInit | undefined;
  readonly image?: ImageSpecInit | undefined;
  readonly command?: readonly string[] | undefined;
  readonly args?: readonly string[] | undefined;
  readonly workingDir?: string | undefined;
  readonly envs?: readonly KeyValueInit[] | undefined;
  readonly mounts?: readonly MountInit[] | undefined;
  readonly devices?: readonly DeviceInit[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly logPath?: string | undefined;
  readonly stdin?: boolean | undefined;
  readonly stdinOnce?: boolean | undefined;
  readonly tty?: boolean | undefined;
  readonly linux?: LinuxContainerConfigInit | undefined;
  readonly windows?: WindowsContainerConfigInit | undefined;
  readonly cdiDevices?: readonly CDIDeviceInit[] | undefined;
  readonly stopSignal?: Signal | undefined;
}
function wContainerConfig(w: Writer, m: ContainerConfigInit): void {
  wMessage(w, 10, wContainerMetadata, m.metadata);
  wMessage(w, 18, wImageSpec, m.image);
  wStrings(w, 26, m.command);
  wStrings(w, 34, m.args);
  wString(w, 42, m.workingDir);
  wMessages(w, 50, wKeyValue, m.envs);
  wMessages(w, 58, wMount, m.mounts);
  wMessages(w, 66, wDevice, m.devices);
  wStringMap(w, 74, m.labels);
  wStringMap(w, 82, m.annotations);
  wString(w, 90, m.logPath);
  wBool(w, 96, m.stdin);
  wBool(w, 104, m.stdinOnce);
  wBool(w, 112, m.tty);
  wMessage(w, 122, wLinuxContainerConfig, m.linux);
  wMessage(w, 130, wWindowsContainerConfig, m.windows);
  wMessages(w, 138, wCDIDevice, m.cdiDevices);
  wInt32(w, 144, m.stopSignal);
}
function rContainerConfig(r: Reader, end: number, m: ContainerConfig = { metadata: undefined, image: undefined, command: [], args: [], workingDir: "", envs: [], mounts: [], devices: [], labels: emptyMap(), annotations: emptyMap(), logPath: "", stdin: false, stdinOnce: false, tty: false, linux: undefined, windows: undefined, cdiDevices: [], stopSignal: 0 }): ContainerConfig {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.metadata = rMessage(r, rContainerMetadata, m.metadata); break;
      case 18: m.image = rMessage(r, rImageSpec, m.image); break;
      case 26: rStringsItem(r, m.command); break;
      case 34: rStringsItem(r, m.args); break;
      case 42: m.workingDir = rString(r); break;
      case 50: rMessagesItem(r, rKeyValue, m.envs); break;
      case 58: rMessagesItem(r, rMount, m.mounts); break;
      case 66: rMessagesItem(r, rDevice, m.devices); break;
      case 74: rStringMapItem(r, m.labels); break;
      case 82: rStringMapItem(r, m.annotations); break;
      case 90: m.logPath = rString(r); break;
      case 96: m.stdin = r.bool(); break;
      case 104: m.stdinOnce = r.bool(); break;
      case 112: m.tty = r.bool(); break;
      case 122: m.linux = rMessage(r, rLinuxContainerConfig, m.linux); break;
      case 130: m.windows = rMessage(r, rWindowsContainerConfig, m.windows); break;
      case 138: rMessagesItem(r, rCDIDevice, m.cdiDevices); break;
      case 144: m.stopSignal = r.int32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ContainerConfig: Codec<ContainerConfig, ContainerConfigInit> = /* @__PURE__ */ codec("ContainerConfig", wContainerConfig, rContainerConfig);

/** Name and attempt: unique in their sandbox. */
export interface ContainerMetadata {
  name: string;
  attempt: number;
}
export interface ContainerMetadataInit {
  readonly name?: string | undefined;
  readonly attempt?: number | undefined;
}
function wContainerMetadata(w: Writer, m: ContainerMetadataInit): void {
  wString(w, 10, m.name);
  wUint32(w, 16, m.attempt);
}
function rContainerMetadata(r: Reader, end: number, m: ContainerMetadata = { name: "", attempt: 0 }): ContainerMetadata {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.name = rString(r); break;
      case 16: m.attempt = r.uint32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ContainerMetadata: Codec<ContainerMetadata, ContainerMetadataInit> = /* @__PURE__ */ codec("ContainerMetadata", wContainerMetadata, rContainerMetadata);

/** A bind mount, or an image mounted read-only. */
export interface Mount {
  containerPath: string;
  /** Empty when `image` is given. */
  hostPath: string;
  readonly: boolean;
  /** Give the source the container's label. */
  selinuxRelabel: boolean;
  propagation: MountPropagation;
  /** Id-mapped mounts: the ids in the container's user namespace. */
  uidMappings: IDMapping[];
  gidMappings: IDMapping[];
  /** Read-only holds for mounts below the source too. Needs `readonly` and private propagation. */
  recursiveReadOnly: boolean;
  /** The image whose files are mounted. */
  image?: ImageSpec | undefined;
  /** A folder inside that image. */
  imageSubPath: string;
  /** Further options of the bind, such as noexec. */
  mountOptions: string[];
}
export interface MountInit {
  readonly containerPath?: string | undefined;
  readonly hostPath?: string | undefined;
  readonly readonly?: boolean | undefined;
  readonly selinuxRelabel?: boolean | undefined;
  readonly propagation?: MountPropagation | undefined;
  readonly uidMappings?: readonly IDMappingInit[] | undefined;
  readonly gidMappings?: readonly IDMappingInit[] | undefined;
  readonly recursiveReadOnly?: boolean | undefined;
  readonly image?: ImageSpecInit | undefined;
  readonly imageSubPath?: string | undefined;
  readonly mountOptions?: readonly string[] | undefined;
}
function wMount(w: Writer, m: MountInit): void {
  wString(w, 10, m.containerPath);
  wString(w, 18, m.hostPath);
  wBool(w, 24, m.readonly);
  wBool(w, 32, m.selinuxRelabel);
  wInt32(w, 40, m.propagation);
  wMessages(w, 50, wIDMapping, m.uidMappings);
  wMessages(w, 58, wIDMapping, m.gidMappings);
  wBool(w, 64, m.recursiveReadOnly);
  wMessage(w, 74, wImageSpec, m.image);
  wString(w, 82, m.imageSubPath);
  wStrings(w, 90, m.mountOptions);
}
function rMount(r: Reader, end: number, m: Mount = { containerPath: "", hostPath: "", readonly: false, selinuxRelabel: false, propagation: 0, uidMappings: [], gidMappings: [], recursiveReadOnly: false, image: undefined, imageSubPath: "", mountOptions: [] }): Mount {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerPath = rString(r); break;
      case 18: m.hostPath = rString(r); break;
      case 24: m.readonly = r.bool(); break;
      case 32: m.selinuxRelabel = r.bool(); break;
      case 40: m.propagation = r.int32(); break;
      case 50: rMessagesItem(r, rIDMapping, m.uidMappings); break;
      case 58: rMessagesItem(r, rIDMapping, m.gidMappings); break;
      case 64: m.recursiveReadOnly = r.bool(); break;
      case 74: m.image = rMessage(r, rImageSpec, m.image); break;
      case 82: m.imageSubPath = rString(r); break;
      case 90: rStringsItem(r, m.mountOptions); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const Mount: Codec<Mount, MountInit> = /* @__PURE__ */ codec("Mount", wMount, rMount);

/** A device node of the host. */
export interface Device {
  containerPath: string;
  hostPath: string;
  /** Some of r (read), w (write), m (mknod). */
  permissions: string;
}
export interface DeviceInit {
  readonly containerPath?: string | undefined;
  readonly hostPath?: string | undefined;
  readonly permissions?: string | undefined;
}
function wDevice(w: Writer, m: DeviceInit): void {
  wString(w, 10, m.containerPath);
  wString(w, 18, m.hostPath);
  wString(w, 26, m.permissions);
}
function rDevice(r: Reader, end: number, m: Device = { containerPath: "", hostPath: "", permissions: "" }): Device {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerPath = rString(r); break;
      case 18: m.hostPath = rString(r); break;
      case 26: m.permissions = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const Device: Codec<Device, DeviceInit> = /* @__PURE__ */ codec("Device", wDevice, rDevice);

/** A device by its qualified CDI name, vendor/class=name. */
export interface CDIDevice {
  name: string;
}
export interface CDIDeviceInit {
  readonly name?: string | undefined;
}
function wCDIDevice(w: Writer, m: CDIDeviceInit): void {
  wString(w, 10, m.name);
}
function rCDIDevice(r: Reader, end: number, m: CDIDevice = { name: "" }): CDIDevice {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.name = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const CDIDevice: Codec<CDIDevice, CDIDeviceInit> = /* @__PURE__ */ codec("CDIDevice", wCDIDevice, rCDIDevice);

/** The Linux part of a container. */
export interface LinuxContainerConfig {
  resources?: LinuxContainerResources | undefined;
  securityContext?: LinuxContainerSecurityContext | undefined;
}
export interface LinuxContainerConfigInit {
  readonly resources?: LinuxContainerResourcesInit | undefined;
  readonly securityContext?: LinuxContainerSecurityContextInit | undefined;
}
function wLinuxContainerConfig(w: Writer, m: LinuxContainerConfigInit): void {
  wMessage(w, 10, wLinuxContainerResources, m.resources);
  wMessage(w, 18, wLinuxContainerSecurityContext, m.securityContext);
}
function rLinuxContainerConfig(r: Reader, end: number, m: LinuxContainerConfig = { resources: undefined, securityContext: undefined }): LinuxContainerConfig {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.resources = rMessage(r, rLinuxContainerResources, m.resources); break;
      case 18: m.securityContext = rMessage(r, rLinuxContainerSecurityContext, m.securityContext); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const LinuxContainerConfig: Codec<LinuxContainerConfig, LinuxContainerConfigInit> = /* @__PURE__ */ codec("LinuxContainerConfig", wLinuxContainerConfig, rLinuxContainerConfig);

/** Limits for the cgroup; 0 and empty mean "not set". */
export interface LinuxContainerResources {
  /** Microseconds. */
  cpuPeriod: bigint;
  /** Microseconds in each period. */
  cpuQuota: bigint;
  cpuShares: bigint;
  memoryLimitInBytes: bigint;
  /** -1000 to 1000. */
  oomScoreAdj: bigint;
  /** A list such as 0-2,7. */
  cpusetCpus: string;
  cpusetMems: string;
  hugepageLimits: HugepageLimit[];
  /** cgroup v2 files and what to write into them. */
  unified: Record<string, string>;
  /** Memory and swap together. */
  memorySwapLimitInBytes: bigint;
}
export interface LinuxContainerResourcesInit {
  readonly cpuPeriod?: bigint | undefined;
  readonly cpuQuota?: bigint | undefined;
  readonly cpuShares?: bigint | undefined;
  readonly memoryLimitInBytes?: bigint | undefined;
  readonly oomScoreAdj?: bigint | undefined;
  readonly cpusetCpus?: string | undefined;
  readonly cpusetMems?: string | undefined;
  readonly hugepageLimits?: readonly HugepageLimitInit[] | undefined;
  readonly unified?: Readonly<Record<string, string>> | undefined;
  readonly memorySwapLimitInBytes?: bigint | undefined;
}
function wLinuxContainerResources(w: Writer, m: LinuxContainerResourcesInit): void {
  wInt64(w, 8, m.cpuPeriod);
  wInt64(w, 16, m.cpuQuota);
  wInt64(w, 24, m.cpuShares);
  wInt64(w, 32, m.memoryLimitInBytes);
  wInt64(w, 40, m.oomScoreAdj);
  wString(w, 50, m.cpusetCpus);
  wString(w, 58, m.cpusetMems);
  wMessages(w, 66, wHugepageLimit, m.hugepageLimits);
  wStringMap(w, 74, m.unified);
  wInt64(w, 80, m.memorySwapLimitInBytes);
}
function rLinuxContainerResources(r: Reader, end: number, m: LinuxContainerResources = { cpuPeriod: 0n, cpuQuota: 0n, cpuShares: 0n, memoryLimitInBytes: 0n, oomScoreAdj: 0n, cpusetCpus: "", cpusetMems: "", hugepageLimits: [], unified: emptyMap(), memorySwapLimitInBytes: 0n }): LinuxContainerResources {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.cpuPeriod = rInt64(r); break;
      case 16: m.cpuQuota = rInt64(r); break;
      case 24: m.cpuShares = rInt64(r); break;
      case 32: m.memoryLimitInBytes = rInt64(r); break;
      case 40: m.oomScoreAdj = rInt64(r); break;
      case 50: m.cpusetCpus = rString(r); break;
      case 58: m.cpusetMems = rString(r); break;
      case 66: rMessagesItem(r, rHugepageLimit, m.hugepageLimits); break;
      case 74: rStringMapItem(r, m.unified); break;
      case 80: m.memorySwapLimitInBytes = rInt64(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const LinuxContainerResources: Codec<LinuxContainerResources, LinuxContainerResourcesInit> = /* @__PURE__ */ codec("LinuxContainerResources", wLinuxContainerResources, rLinuxContainerResources);

/** A limit for pages of one size. */
export interface HugepageLimit {
  /** Such as 2MB or 1GB. */
  pageSize: string;
  /** Bytes. */
  limit: bigint;
}
export interface HugepageLimitInit {
  readonly pageSize?: string | undefined;
  readonly limit?: bigint | undefined;
}
function wHugepageLimit(w: Writer, m: HugepageLimitInit): void {
  wString(w, 10, m.pageSize);
  wUint64(w, 16, m.limit);
}
function rHugepageLimit(r: Reader, end: number, m: HugepageLimit = { pageSize: "", limit: 0n }): HugepageLimit {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.pageSize = rString(r); break;
      case 16: m.limit = rUint64(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const HugepageLimit: Codec<HugepageLimit, HugepageLimitInit> = /* @__PURE__ */ codec("HugepageLimit", wHugepageLimit, rHugepageLimit);

/** Who a container runs as and what it may do. */
export interface LinuxContainerSecurityContext {
  capabilities?: Capability | undefined;
  /** All capabilities and devices, no profiles. Needs a privileged sandbox. */
  privileged: boolean;
  namespaceOptions?: NamespaceOption | undefined;
  selinuxOptions?: SELinuxOption | undefined;
  /** A uid; at most one of this and run_as_username. */
  runAsUser?: Int64Value | undefined;
  /** A name, looked up in the image. */
  runAsUsername: string;
  readonlyRootfs: boolean;
  supplementalGroups: bigint[];
  /** Replaced by `apparmor`. */
  apparmorProfile: string;
  /** Replaced by `seccomp`. */
  seccompProfilePath: string;
  /** Set-user-id programs give nothing. */
  noNewPrivs: boolean;
  /** Needs run_as_user or run_as_username. */
  runAsGroup?: Int64Value | undefined;
  /** Shown empty. */
  maskedPaths: string[];
  readonlyPaths: string[];
  seccomp?: SecurityProfile | undefined;
  apparmor?: SecurityProfile | undefined;
  supplementalGroupsPolicy: SupplementalGroupsPolicy;
}
export interface LinuxContainerSecurityContextInit {
  readonly capabilities?: CapabilityInit | undefined;
  readonly privileged?: boolean | undefined;
  readonly namespaceOptions?: NamespaceOptionInit | undefined;
  readonly selinuxOptions?: SELinuxOptionInit | undefined;
  readonly runAsUser?: Int64ValueInit | undefined;
  readonly runAsUsername?: string | undefined;
  readonly readonlyRootfs?: boolean | undefined;
  readonly supplementalGroups?: readonly bigint[] | undefined;
  readonly apparmorProfile?: string | undefined;
  readonly seccompProfilePath?: string | undefined;
  readonly noNewPrivs?: boolean | undefined;
  readonly runAsGroup?: Int64ValueInit | undefined;
  readonly maskedPaths?: readonly string[] | undefined;
  readonly readonlyPaths?: readonly string[] | undefined;
  readonly seccomp?: SecurityProfileInit | undefined;
  readonly apparmor?: SecurityProfileInit | undefined;
  readonly supplementalGroupsPolicy?: SupplementalGroupsPolicy | undefined;
}
function wLinuxContainerSecurityContext(w: Writer, m: LinuxContainerSecurityContextInit): void {
  wMessage(w, 10, wCapability, m.capabilities);
  wBool(w, 16, m.privileged);
  wMessage(w, 26, wNamespaceOption, m.namespaceOptions);
  wMessage(w, 34, wSELinuxOption, m.selinuxOptions);
  wMessage(w, 42, wInt64Value, m.runAsUser);
  wString(w, 50, m.runAsUsername);
  wBool(w, 56, m.readonlyRootfs);
  wInt64s(w, 66, m.supplementalGroups);
  wString(w, 74, m.apparmorProfile);
  wString(w, 82, m.seccompProfilePath);
  wBool(w, 88, m.noNewPrivs);
  wMessage(w, 98, wInt64Value, m.runAsGroup);
  wStrings(w, 106, m.maskedPaths);
  wStrings(w, 114, m.readonlyPaths);
  wMessage(w, 122, wSecurityProfile, m.seccomp);
  wMessage(w, 130, wSecurityProfile, m.apparmor);
  wInt32(w, 136, m.supplementalGroupsPolicy);
}
function rLinuxContainerSecurityContext(r: Reader, end: number, m: LinuxContainerSecurityContext = { capabilities: undefined, privileged: false, namespaceOptions: undefined, selinuxOptions: undefined, runAsUser: undefined, runAsUsername: "", readonlyRootfs: false, supplementalGroups: [], apparmorProfile: "", seccompProfilePath: "", noNewPrivs: false, runAsGroup: undefined, maskedPaths: [], readonlyPaths: [], seccomp: undefined, apparmor: undefined, supplementalGroupsPolicy: 0 }): LinuxContainerSecurityContext {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.capabilities = rMessage(r, rCapability, m.capabilities); break;
      case 16: m.privileged = r.bool(); break;
      case 26: m.namespaceOptions = rMessage(r, rNamespaceOption, m.namespaceOptions); break;
      case 34: m.selinuxOptions = rMessage(r, rSELinuxOption, m.selinuxOptions); break;
      case 42: m.runAsUser = rMessage(r, rInt64Value, m.runAsUser); break;
      case 50: m.runAsUsername = rString(r); break;
      case 56: m.readonlyRootfs = r.bool(); break;
      case 66: rPacked(r, rInt64, m.supplementalGroups); break;
      case 64: rItem(r, rInt64, m.supplementalGroups); break;
      case 74: m.apparmorProfile = rString(r); break;
      case 82: m.seccompProfilePath = rString(r); break;
      case 88: m.noNewPrivs = r.bool(); break;
      case 98: m.runAsGroup = rMessage(r, rInt64Value, m.runAsGroup); break;
      case 106: rStringsItem(r, m.maskedPaths); break;
      case 114: rStringsItem(r, m.readonlyPaths); break;
      case 122: m.seccomp = rMessage(r, rSecurityProfile, m.seccomp); break;
      case 130: m.apparmor = rMessage(r, rSecurityProfile, m.apparmor); break;
      case 136: m.supplementalGroupsPolicy = r.int32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const LinuxContainerSecurityContext: Codec<LinuxContainerSecurityContext, LinuxContainerSecurityContextInit> = /* @__PURE__ */ codec("LinuxContainerSecurityContext", wLinuxContainerSecurityContext, rLinuxContainerSecurityContext);

/** Names with or without CAP_; ALL means every one. */
export interface Capability {
  addCapabilities: string[];
  dropCapabilities: string[];
  addAmbientCapabilities: string[];
}
export interface CapabilityInit {
  readonly addCapabilities?: readonly string[] | undefined;
  readonly dropCapabilities?: readonly string[] | undefined;
  readonly addAmbientCapabilities?: readonly string[] | undefined;
}
function wCapability(w: Writer, m: CapabilityInit): void {
  wStrings(w, 10, m.addCapabilities);
  wStrings(w, 18, m.dropCapabilities);
  wStrings(w, 26, m.addAmbientCapabilities);
}
function rCapability(r: Reader, end: number, m: Capability = { addCapabilities: [], dropCapabilities: [], addAmbientCapabilities: [] }): Capability {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rStringsItem(r, m.addCapabilities); break;
      case 18: rStringsItem(r, m.dropCapabilities); break;
      case 26: rStringsItem(r, m.addAmbientCapabilities); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const Capability: Codec<Capability, CapabilityInit> = /* @__PURE__ */ codec("Capability", wCapability, rCapability);

export interface CreateContainerRequest {
  podSandboxId: string;
  config?: ContainerConfig | undefined;
  /** The configuration that the sandbox was run with. */
  sandboxConfig?: PodSandboxConfig | undefined;
}
export interface CreateContainerRequestInit {
  readonly podSandboxId?: string | undefined;
  readonly config?: ContainerConfigInit | undefined;
  readonly sandboxConfig?: PodSandboxConfigInit | undefined;
}
function wCreateContainerRequest(w: Writer, m: CreateContainerRequestInit): void {
  wString(w, 10, m.podSandboxId);
  wMessage(w, 18, wContainerConfig, m.config);
  wMessage(w, 26, wPodSandboxConfig, m.sandboxConfig);
}
function rCreateContainerRequest(r: Reader, end: number, m: CreateContainerRequest = { podSandboxId: "", config: undefined, sandboxConfig: undefined }): CreateContainerRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.podSandboxId = rString(r); break;
      case 18: m.config = rMessage(r, rContainerConfig, m.config); break;
      case 26: m.sandboxConfig = rMessage(r, rPodSandboxConfig, m.sandboxConfig); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const CreateContainerRequest: Codec<CreateContainerRequest, CreateContainerRequestInit> = /* @__PURE__ */ codec("CreateContainerRequest", wCreateContainerRequest, rCreateContainerRequest);

export interface CreateContainerResponse {
  containerId: string;
}
export interface CreateContainerResponseInit {
  readonly containerId?: string | undefined;
}
function wCreateContainerResponse(w: Writer, m: CreateContainerResponseInit): void {
  wString(w, 10, m.containerId);
}
function rCreateContainerResponse(r: Reader, end: number, m: CreateContainerResponse = { containerId: "" }): CreateContainerResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerId = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const CreateContainerResponse: Codec<CreateContainerResponse, CreateContainerResponseInit> = /* @__PURE__ */ codec("CreateContainerResponse", wCreateContainerResponse, rCreateContainerResponse);

export interface StartContainerRequest {
  containerId: string;
}
export interface StartContainerRequestInit {
  readonly containerId?: string | undefined;
}
function wStartContainerRequest(w: Writer, m: StartContainerRequestInit): void {
  wString(w, 10, m.containerId);
}
function rStartContainerRequest(r: Reader, end: number, m: StartContainerRequest = { containerId: "" }): StartContainerRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerId = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StartContainerRequest: Codec<StartContainerRequest, StartContainerRequestInit> = /* @__PURE__ */ codec("StartContainerRequest", wStartContainerRequest, rStartContainerRequest);

export type StartContainerResponse = Record<never, never>;
export type StartContainerResponseInit = Record<never, never>;
function wStartContainerResponse(_w: Writer, _m: StartContainerResponseInit): void {
}
function rStartContainerResponse(r: Reader, end: number, m: StartContainerResponse = {}): StartContainerResponse {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const StartContainerResponse: Codec<StartContainerResponse, StartContainerResponseInit> = /* @__PURE__ */ codec("StartContainerResponse", wStartContainerResponse, rStartContainerResponse);

export interface StopContainerRequest {
  containerId: string;
  /** Seconds of grace; 0: kill at once. */
  timeout: bigint;
}
export interface StopContainerRequestInit {
  readonly containerId?: string | undefined;
  readonly timeout?: bigint | undefined;
}
function wStopContainerRequest(w: Writer, m: StopContainerRequestInit): void {
  wString(w, 10, m.containerId);
  wInt64(w, 16, m.timeout);
}
function rStopContainerRequest(r: Reader, end: number, m: StopContainerRequest = { containerId: "", timeout: 0n }): StopContainerRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerId = rString(r); break;
      case 16: m.timeout = rInt64(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StopContainerRequest: Codec<StopContainerRequest, StopContainerRequestInit> = /* @__PURE__ */ codec("StopContainerRequest", wStopContainerRequest, rStopContainerRequest);

export type StopContainerResponse = Record<never, never>;
export type StopContainerResponseInit = Record<never, never>;
function wStopContainerResponse(_w: Writer, _m: StopContainerResponseInit): void {
}
function rStopContainerResponse(r: Reader, end: number, m: StopContainerResponse = {}): StopContainerResponse {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const StopContainerResponse: Codec<StopContainerResponse, StopContainerResponseInit> = /* @__PURE__ */ codec("StopContainerResponse", wStopContainerResponse, rStopContainerResponse);

export interface RemoveContainerRequest {
  containerId: string;
}
export interface RemoveContainerRequestInit {
  readonly containerId?: string | undefined;
}
function wRemoveContainerRequest(w: Writer, m: RemoveContainerRequestInit): void {
  wString(w, 10, m.containerId);
}
function rRemoveContainerRequest(r: Reader, end: number, m: RemoveContainerRequest = { containerId: "" }): RemoveContainerRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerId = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RemoveContainerRequest: Codec<RemoveContainerRequest, RemoveContainerRequestInit> = /* @__PURE__ */ codec("RemoveContainerRequest", wRemoveContainerRequest, rRemoveContainerRequest);

export type RemoveContainerResponse = Record<never, never>;
export type RemoveContainerResponseInit = Record<never, never>;
function wRemoveContainerResponse(_w: Writer, _m: RemoveContainerResponseInit): void {
}
function rRemoveContainerResponse(r: Reader, end: number, m: RemoveContainerResponse = {}): RemoveContainerResponse {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const RemoveContainerResponse: Codec<RemoveContainerResponse, RemoveContainerResponseInit> = /* @__PURE__ */ codec("RemoveContainerResponse", wRemoveContainerResponse, rRemoveContainerResponse);

export interface UpdateContainerResourcesRequest {
  containerId: string;
  linux?: LinuxContainerResources | undefined;
  windows?: WindowsContainerResources | undefined;
  /** Kept for display. */
  annotations: Record<string, string>;
}
export interface UpdateContainerResourcesRequestInit {
  readonly containerId?: string | undefined;
  readonly linux?: LinuxContainerResourcesInit | undefined;
  readonly windows?: WindowsContainerResourcesInit | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}
function wUpdateContainerResourcesRequest(w: Writer, m: UpdateContainerResourcesRequestInit): void {
  wString(w, 10, m.containerId);
  wMessage(w, 18, wLinuxContainerResources, m.linux);
  wMessage(w, 26, wWindowsContainerResources, m.windows);
  wStringMap(w, 34, m.annotations);
}
function rUpdateContainerResourcesRequest(r: Reader, end: number, m: UpdateContainerResourcesRequest = { containerId: "", linux: undefined, windows: undefined, annotations: emptyMap() }): UpdateContainerResourcesRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerId = rString(r); break;
      case 18: m.linux = rMessage(r, rLinuxContainerResources, m.linux); break;
      case 26: m.windows = rMessage(r, rWindowsContainerResources, m.windows); break;
      case 34: rStringMapItem(r, m.annotations); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const UpdateContainerResourcesRequest: Codec<UpdateContainerResourcesRequest, UpdateContainerResourcesRequestInit> = /* @__PURE__ */ codec("UpdateContainerResourcesRequest", wUpdateContainerResourcesRequest, rUpdateContainerResourcesRequest);

export type UpdateContainerResourcesResponse = Record<never, never>;
export type UpdateContainerResourcesResponseInit = Record<never, never>;
function wUpdateContainerResourcesResponse(_w: Writer, _m: UpdateContainerResourcesResponseInit): void {
}
function rUpdateContainerResourcesResponse(r: Reader, end: number, m: UpdateContainerResourcesResponse = {}): UpdateContainerResourcesResponse {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const UpdateContainerResourcesResponse: Codec<UpdateContainerResourcesResponse, UpdateContainerResourcesResponseInit> = /* @__PURE__ */ codec("UpdateContainerResourcesResponse", wUpdateContainerResourcesResponse, rUpdateContainerResourcesResponse);

export interface ReopenContainerLogRequest {
  containerId: string;
}
export interface ReopenContainerLogRequestInit {
  readonly containerId?: string | undefined;
}
function wReopenContainerLogRequest(w: Writer, m: ReopenContainerLogRequestInit): void {
  wString(w, 10, m.containerId);
}
function rReopenContainerLogRequest(r: Reader, end: number, m: ReopenContainerLogRequest = { containerId: "" }): ReopenContainerLogRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerId = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ReopenContainerLogRequest: Codec<ReopenContainerLogRequest, ReopenContainerLogRequestInit> = /* @__PURE__ */ codec("ReopenContainerLogRequest", wReopenContainerLogRequest, rReopenContainerLogRequest);

export type ReopenContainerLogResponse = Record<never, never>;
export type ReopenContainerLogResponseInit = Record<never, never>;
function wReopenContainerLogResponse(_w: Writer, _m: ReopenContainerLogResponseInit): void {
}
function rReopenContainerLogResponse(r: Reader, end: number, m: ReopenContainerLogResponse = {}): ReopenContainerLogResponse {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const ReopenContainerLogResponse: Codec<ReopenContainerLogResponse, ReopenContainerLogResponseInit> = /* @__PURE__ */ codec("ReopenContainerLogResponse", wReopenContainerLogResponse, rReopenContainerLogResponse);

export interface ContainerStateValue {
  state: ContainerState;
}
export interface ContainerStateValueInit {
  readonly state?: ContainerState | undefined;
}
function wContainerStateValue(w: Writer, m: ContainerStateValueInit): void {
  wInt32(w, 8, m.state);
}
function rContainerStateValue(r: Reader, end: number, m: ContainerStateValue = { state: 0 }): ContainerStateValue {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.state = r.int32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ContainerStateValue: Codec<ContainerStateValue, ContainerStateValueInit> = /* @__PURE__ */ codec("ContainerStateValue", wContainerStateValue, rContainerStateValue);

/** All parts that are given must match. */
export interface ContainerFilter {
  /** May be a prefix. */
  id: string;
  state?: ContainerStateValue | undefined;
  /** May be a prefix. */
  podSandboxId: string;
  labelSelector: Record<string, string>;
}
export interface ContainerFilterInit {
  readonly id?: string | undefined;
  readonly state?: ContainerStateValueInit | undefined;
  readonly podSandboxId?: string | undefined;
  readonly labelSelector?: Readonly<Record<string, string>> | undefined;
}
function wContainerFilter(w: Writer, m: ContainerFilterInit): void {
  wString(w, 10, m.id);
  wMessage(w, 18, wContainerStateValue, m.state);
  wString(w, 26, m.podSandboxId);
  wStringMap(w, 34, m.labelSelector);
}
function rContainerFilter(r: Reader, end: number, m: ContainerFilter = { id: "", state: undefined, podSandboxId: "", labelSelector: emptyMap() }): ContainerFilter {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.state = rMessage(r, rContainerStateValue, m.state); break;
      case 26: m.podSandboxId = rString(r); break;
      case 34: rStringMapItem(r, m.labelSelector); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ContainerFilter: Codec<ContainerFilter, ContainerFilterInit> = /* @__PURE__ */ codec("ContainerFilter", wContainerFilter, rContainerFilter);

export interface ListContainersRequest {
  filter?: ContainerFilter | undefined;
}
export interface ListContainersRequestInit {
  readonly filter?: ContainerFilterInit | undefined;
}
function wListContainersRequest(w: Writer, m: ListContainersRequestInit): void {
  wMessage(w, 10, wContainerFilter, m.filter);
}
function rListContainersRequest(r: Reader, end: number, m: ListContainersRequest = { filter: undefined }): ListContainersRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.filter = rMessage(r, rContainerFilter, m.filter); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ListContainersRequest: Codec<ListContainersRequest, ListContainersRequestInit> = /* @__PURE__ */ codec("ListContainersRequest", wListContainersRequest, rListContainersRequest);

export interface ListContainersResponse {
  containers: Container[];
}
export interface ListContainersResponseInit {
  readonly containers?: readonly ContainerInit[] | undefined;
}
function wListContainersResponse(w: Writer, m: ListContainersResponseInit): void {
  wMessages(w, 10, wContainer, m.containers);
}
function rListContainersResponse(r: Reader, end: number, m: ListContainersResponse = { containers: [] }): ListContainersResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rMessagesItem(r, rContainer, m.containers); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ListContainersResponse: Codec<ListContainersResponse, ListContainersResponseInit> = /* @__PURE__ */ codec("ListContainersResponse", wListContainersResponse, rListContainersResponse);

/** A container in short. */
export interface Container {
  id: string;
  podSandboxId: string;
  metadata?: ContainerMetadata | undefined;
  /** As the creator named it. */
  image?: ImageSpec | undefined;
  /** The image in use, as the kubelet shall report it. */
  imageRef: string;
  state: ContainerState;
  createdAt: bigint;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** The id of the image in use. */
  imageId: string;
}
export interface ContainerInit {
  readonly id?: string | undefined;
  readonly podSandboxId?: string | undefined;
  readonly metadata?: ContainerMetadataInit | undefined;
  readonly image?: ImageSpecInit | undefined;
  readonly imageRef?: string | undefined;
  readonly state?: ContainerState | undefined;
  readonly createdAt?: bigint | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly imageId?: string | undefined;
}
function wContainer(w: Writer, m: ContainerInit): void {
  wString(w, 10, m.id);
  wString(w, 18, m.podSandboxId);
  wMessage(w, 26, wContainerMetadata, m.metadata);
  wMessage(w, 34, wImageSpec, m.image);
  wString(w, 42, m.imageRef);
  wInt32(w, 48, m.state);
  wInt64(w, 56, m.createdAt);
  wStringMap(w, 66, m.labels);
  wStringMap(w, 74, m.annotations);
  wString(w, 82, m.imageId);
}
function rContainer(r: Reader, end: number, m: Container = { id: "", podSandboxId: "", metadata: undefined, image: undefined, imageRef: "", state: 0, createdAt: 0n, labels: emptyMap(), annotations: emptyMap(), imageId: "" }): Container {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.podSandboxId = rString(r); break;
      case 26: m.metadata = rMessage(r, rContainerMetadata, m.metadata); break;
      case 34: m.image = rMessage(r, rImageSpec, m.image); break;
      case 42: m.imageRef = rString(r); break;
      case 48: m.state = r.int32(); break;
      case 56: m.createdAt = rInt64(r); break;
      case 66: rStringMapItem(r, m.labels); break;
      case 74: rStringMapItem(r, m.annotations); break;
      case 82: m.imageId = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const Container: Codec<Container, ContainerInit> = /* @__PURE__ */ codec("Container", wContainer, rContainer);

export interface StreamContainersRequest {
  filter?: ContainerFilter | undefined;
}
export interface StreamContainersRequestInit {
  readonly filter?: ContainerFilterInit | undefined;
}
function wStreamContainersRequest(w: Writer, m: StreamContainersRequestInit): void {
  wMessage(w, 10, wContainerFilter, m.filter);
}
function rStreamContainersRequest(r: Reader, end: number, m: StreamContainersRequest = { filter: undefined }): StreamContainersRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.filter = rMessage(r, rContainerFilter, m.filter); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StreamContainersRequest: Codec<StreamContainersRequest, StreamContainersRequestInit> = /* @__PURE__ */ codec("StreamContainersRequest", wStreamContainersRequest, rStreamContainersRequest);

export interface StreamContainersResponse {
  containers: Container[];
}
export interface StreamContainersResponseInit {
  readonly containers?: readonly ContainerInit[] | undefined;
}
function wStreamContainersResponse(w: Writer, m: StreamContainersResponseInit): void {
  wMessages(w, 10, wContainer, m.containers);
}
function rStreamContainersResponse(r: Reader, end: number, m: StreamContainersResponse = { containers: [] }): StreamContainersResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rMessagesItem(r, rContainer, m.containers); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StreamContainersResponse: Codec<StreamContainersResponse, StreamContainersResponseInit> = /* @__PURE__ */ codec("StreamContainersResponse", wStreamContainersResponse, rStreamContainersResponse);

export interface ContainerStatusRequest {
  containerId: string;
  /** Also fill `info`. */
  verbose: boolean;
}
export interface ContainerStatusRequestInit {
  readonly containerId?: string | undefined;
  readonly verbose?: boolean | undefined;
}
function wContainerStatusRequest(w: Writer, m: ContainerStatusRequestInit): void {
  wString(w, 10, m.containerId);
  wBool(w, 16, m.verbose);
}
function rContainerStatusRequest(r: Reader, end: number, m: ContainerStatusRequest = { containerId: "", verbose: false }): ContainerStatusRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerId = rString(r); break;
      case 16: m.verbose = r.bool(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ContainerStatusRequest: Codec<ContainerStatusRequest, ContainerStatusRequestInit> = /* @__PURE__ */ codec("ContainerStatusRequest", wContainerStatusRequest, rContainerStatusRequest);

export interface ContainerStatusResponse {
  status?: ContainerStatus | undefined;
  info: Record<string, string>;
}
export interface ContainerStatusResponseInit {
  readonly status?: ContainerStatusInit | undefined;
  readonly info?: Readonly<Record<string, string>> | undefined;
}
function wContainerStatusResponse(w: Writer, m: ContainerStatusResponseInit): void {
  wMessage(w, 10, wContainerStatus, m.status);
  wStringMap(w, 18, m.info);
}
function rContainerStatusResponse(r: Reader, end: number, m: ContainerStatusResponse = { status: undefined, info: emptyMap() }): ContainerStatusResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.status = rMessage(r, rContainerStatus, m.status); break;
      case 18: rStringMapItem(r, m.info); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ContainerStatusResponse: Codec<ContainerStatusResponse, ContainerStatusResponseInit> = /* @__PURE__ */ codec("ContainerStatusResponse", wContainerStatusResponse, rContainerStatusResponse);

/** A container in full. */
export interface ContainerStatus {
  id: string;
  metadata?: ContainerMetadata | undefined;
  state: ContainerState;
  createdAt: bigint;
  /** 0 until started. */
  startedAt: bigint;
  /** 0 until exited. */
  finishedAt: bigint;
  /** 128 + n when killed by signal n. */
  exitCode: number;
  image?: ImageSpec | undefined;
  imageRef: string;
  /** Completed, Error, OOMKilled or another single word. */
  reason: string;
  message: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  mounts: Mount[];
  /** Absolute. */
  logPath: string;
  /** The limits now in force. */
  resources?: ContainerResources | undefined;
  imageId: string;
  user?: ContainerUser | undefined;
  stopSignal: Signal;
}
export interface ContainerStatusInit {
  readonly id?: string | undefined;
  readonly metadata?: ContainerMetadataInit | undefined;
  readonly state?: ContainerState | undefined;
  readonly createdAt?: bigint | undefined;
  readonly startedAt?: bigint | undefined;
  readonly finishedAt?: bigint | undefined;
  readonly exitCode?: number | undefined;
  readonly image?: ImageSpecInit | undefined;
  readonly imageRef?: string | undefined;
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly mounts?: readonly MountInit[] | undefined;
  readonly logPath?: string | undefined;
  readonly resources?: ContainerResourcesInit | undefined;
  readonly imageId?: string | undefined;
  readonly user?: ContainerUserInit | undefined;
  readonly stopSignal?: Signal | undefined;
}
function wContainerStatus(w: Writer, m: ContainerStatusInit): void {
  wString(w, 10, m.id);
  wMessage(w, 18, wContainerMetadata, m.metadata);
  wInt32(w, 24, m.state);
  wInt64(w, 32, m.createdAt);
  wInt64(w, 40, m.startedAt);
  wInt64(w, 48, m.finishedAt);
  wInt32(w, 56, m.exitCode);
  wMessage(w, 66, wImageSpec, m.image);
  wString(w, 74, m.imageRef);
  wString(w, 82, m.reason);
  wString(w, 90, m.message);
  wStringMap(w, 98, m.labels);
  wStringMap(w, 106, m.annotations);
  wMessages(w, 114, wMount, m.mounts);
  wString(w, 122, m.logPath);
  wMessage(w, 130, wContainerResources, m.resources);
  wString(w, 138, m.imageId);
  wMessage(w, 146, wContainerUser, m.user);
  wInt32(w, 152, m.stopSignal);
}
function rContainerStatus(r: Reader, end: number, m: ContainerStatus = { id: "", metadata: undefined, state: 0, createdAt: 0n, startedAt: 0n, finishedAt: 0n, exitCode: 0, image: undefined, imageRef: "", reason: "", message: "", labels: emptyMap(), annotations: emptyMap(), mounts: [], logPath: "", resources: undefined, imageId: "", user: undefined, stopSignal: 0 }): ContainerStatus {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.metadata = rMessage(r, rContainerMetadata, m.metadata); break;
      case 24: m.state = r.int32(); break;
      case 32: m.createdAt = rInt64(r); break;
      case 40: m.startedAt = rInt64(r); break;
      case 48: m.finishedAt = rInt64(r); break;
      case 56: m.exitCode = r.int32(); break;
      case 66: m.image = rMessage(r, rImageSpec, m.image); break;
      case 74: m.imageRef = rString(r); break;
      case 82: m.reason = rString(r); break;
      case 90: m.message = rString(r); break;
      case 98: rStringMapItem(r, m.labels); break;
      case 106: rStringMapItem(r, m.annotations); break;
      case 114: rMessagesItem(r, rMount, m.mounts); break;
      case 122: m.logPath = rString(r); break;
      case 130: m.resources = rMessage(r, rContainerResources, m.resources); break;
      case 138: m.imageId = rString(r); break;
      case 146: m.user = rMessage(r, rContainerUser, m.user); break;
      case 152: m.stopSignal = r.int32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ContainerStatus: Codec<ContainerStatus, ContainerStatusInit> = /* @__PURE__ */ codec("ContainerStatus", wContainerStatus, rContainerStatus);

export interface ContainerResources {
  linux?: LinuxContainerResources | undefined;
  windows?: WindowsContainerResources | undefined;
}
export interface ContainerResourcesInit {
  readonly linux?: LinuxContainerResourcesInit | undefined;
  readonly windows?: WindowsContainerResourcesInit | undefined;
}
function wContainerResources(w: Writer, m: ContainerResourcesInit): void {
  wMessage(w, 10, wLinuxContainerResources, m.linux);
  wMessage(w, 18, wWindowsContainerResources, m.windows);
}
function rContainerResources(r: Reader, end: number, m: ContainerResources = { linux: undefined, windows: undefined }): ContainerResources {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.linux = rMessage(r, rLinuxContainerResources, m.linux); break;
      case 18: m.windows = rMessage(r, rWindowsContainerResources, m.windows); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ContainerResources: Codec<ContainerResources, ContainerResourcesInit> = /* @__PURE__ */ codec("ContainerResources", wContainerResources, rContainerResources);

/** Who the first process was started as. */
export interface ContainerUser {
  linux?: LinuxContainerUser | undefined;
}
export interface ContainerUserInit {
  readonly linux?: LinuxContainerUserInit | undefined;
}
function wContainerUser(w: Writer, m: ContainerUserInit): void {
  wMessage(w, 10, wLinuxContainerUser, m.linux);
}
function rContainerUser(r: Reader, end: number, m: ContainerUser = { linux: undefined }): ContainerUser {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.linux = rMessage(r, rLinuxContainerUser, m.linux); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ContainerUser: Codec<ContainerUser, ContainerUserInit> = /* @__PURE__ */ codec("ContainerUser", wContainerUser, rContainerUser);

export interface LinuxContainerUser {
  uid: bigint;
  gid: bigint;
  supplementalGroups: bigint[];
}
export interface LinuxContainerUserInit {
  readonly uid?: bigint | undefined;
  readonly gid?: bigint | undefined;
  readonly supplementalGroups?: readonly bigint[] | undefined;
}
function wLinuxContainerUser(w: Writer, m: LinuxContainerUserInit): void {
  wInt64(w, 8, m.uid);
  wInt64(w, 16, m.gid);
  wInt64s(w, 26, m.supplementalGroups);
}
function rLinuxContainerUser(r: Reader, end: number, m: LinuxContainerUser = { uid: 0n, gid: 0n, supplementalGroups: [] }): LinuxContainerUser {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.uid = rInt64(r); break;
      case 16: m.gid = rInt64(r); break;
      case 26: rPacked(r, rInt64, m.supplementalGroups); break;
      case 24: rItem(r, rInt64, m.supplementalGroups); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const LinuxContainerUser: Codec<LinuxContainerUser, LinuxContainerUserInit> = /* @__PURE__ */ codec("LinuxContainerUser", wLinuxContainerUser, rLinuxContainerUser);

export interface ExecSyncRequest {
  containerId: string;
  cmd: string[];
  /** Seconds; 0: no limit. After it the command is killed. */
  timeout: bigint;
}
export interface ExecSyncRequestInit {
  readonly containerId?: string | undefined;
  readonly cmd?: readonly string[] | undefined;
  readonly timeout?: bigint | undefined;
}
function wExecSyncRequest(w: Writer, m: ExecSyncRequestInit): void {
  wString(w, 10, m.containerId);
  wStrings(w, 18, m.cmd);
  wInt64(w, 24, m.timeout);
}
function rExecSyncRequest(r: Reader, end: number, m: ExecSyncRequest = { containerId: "", cmd: [], timeout: 0n }): ExecSyncRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerId = rString(r); break;
      case 18: rStringsItem(r, m.cmd); break;
      case 24: m.timeout = rInt64(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ExecSyncRequest: Codec<ExecSyncRequest, ExecSyncRequestInit> = /* @__PURE__ */ codec("ExecSyncRequest", wExecSyncRequest, rExecSyncRequest);

/** The output of the command, at most 16 MiB of each stream. */
export interface ExecSyncResponse {
  stdout: Uint8Array;
  stderr: Uint8Array;
  exitCode: number;
}
export interface ExecSyncResponseInit {
  readonly stdout?: Uint8Array | undefined;
  readonly stderr?: Uint8Array | undefined;
  readonly exitCode?: number | undefined;
}
function wExecSyncResponse(w: Writer, m: ExecSyncResponseInit): void {
  wBytes(w, 10, m.stdout);
  wBytes(w, 18, m.stderr);
  wInt32(w, 24, m.exitCode);
}
function rExecSyncResponse(r: Reader, end: number, m: ExecSyncResponse = { stdout: new Uint8Array(0), stderr: new Uint8Array(0), exitCode: 0 }): ExecSyncResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.stdout = rBytes(r); break;
      case 18: m.stderr = rBytes(r); break;
      case 24: m.exitCode = r.int32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ExecSyncResponse: Codec<ExecSyncResponse, ExecSyncResponseInit> = /* @__PURE__ */ codec("ExecSyncResponse", wExecSyncResponse, rExecSyncResponse);

/** At least one of the streams must be asked for; a tty carries no stderr. */
export interface ExecRequest {
  containerId: string;
  cmd: string[];
  tty: boolean;
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
}
export interface ExecRequestInit {
  readonly containerId?: string | undefined;
  readonly cmd?: readonly string[] | undefined;
  readonly tty?: boolean | undefined;
  readonly stdin?: boolean | undefined;
  readonly stdout?: boolean | undefined;
  readonly stderr?: boolean | undefined;
}
function wExecRequest(w: Writer, m: ExecRequestInit): void {
  wString(w, 10, m.containerId);
  wStrings(w, 18, m.cmd);
  wBool(w, 24, m.tty);
  wBool(w, 32, m.stdin);
  wBool(w, 40, m.stdout);
  wBool(w, 48, m.stderr);
}
function rExecRequest(r: Reader, end: number, m: ExecRequest = { containerId: "", cmd: [], tty: false, stdin: false, stdout: false, stderr: false }): ExecRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerId = rString(r); break;
      case 18: rStringsItem(r, m.cmd); break;
      case 24: m.tty = r.bool(); break;
      case 32: m.stdin = r.bool(); break;
      case 40: m.stdout = r.bool(); break;
      case 48: m.stderr = r.bool(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ExecRequest: Codec<ExecRequest, ExecRequestInit> = /* @__PURE__ */ codec("ExecRequest", wExecRequest, rExecRequest);

export interface ExecResponse {
  url: string;
}
export interface ExecResponseInit {
  readonly url?: string | undefined;
}
function wExecResponse(w: Writer, m: ExecResponseInit): void {
  wString(w, 10, m.url);
}
function rExecResponse(r: Reader, end: number, m: ExecResponse = { url: "" }): ExecResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.url = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ExecResponse: Codec<ExecResponse, ExecResponseInit> = /* @__PURE__ */ codec("ExecResponse", wExecResponse, rExecResponse);

/** As ExecRequest, for the container's own process. */
export interface AttachRequest {
  containerId: string;
  stdin: boolean;
  tty: boolean;
  stdout: boolean;
  stderr: boolean;
}
export interface AttachRequestInit {
  readonly containerId?: string | undefined;
  readonly stdin?: boolean | undefined;
  readonly tty?: boolean | undefined;
  readonly stdout?: boolean | undefined;
  readonly stderr?: boolean | undefined;
}
function wAttachRequest(w: Writer, m: AttachRequestInit): void {
  wString(w, 10, m.containerId);
  wBool(w, 16, m.stdin);
  wBool(w, 24, m.tty);
  wBool(w, 32, m.stdout);
  wBool(w, 40, m.stderr);
}
function rAttachRequest(r: Reader, end: number, m: AttachRequest = { containerId: "", stdin: false, tty: false, stdout: false, stderr: false }): AttachRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerId = rString(r); break;
      case 16: m.stdin = r.bool(); break;
      case 24: m.tty = r.bool(); break;
      case 32: m.stdout = r.bool(); break;
      case 40: m.stderr = r.bool(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const AttachRequest: Codec<AttachRequest, AttachRequestInit> = /* @__PURE__ */ codec("AttachRequest", wAttachRequest, rAttachRequest);

export interface AttachResponse {
  url: string;
}
export interface AttachResponseInit {
  readonly url?: string | undefined;
}
function wAttachResponse(w: Writer, m: AttachResponseInit): void {
  wString(w, 10, m.url);
}
function rAttachResponse(r: Reader, end: number, m: AttachResponse = { url: "" }): AttachResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.url = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const AttachResponse: Codec<AttachResponse, AttachResponseInit> = /* @__PURE__ */ codec("AttachResponse", wAttachResponse, rAttachResponse);

export interface PortForwardRequest {
  podSandboxId: string;
  /** Empty: the client names ports on the stream. */
  port: number[];
}
export interface PortForwardRequestInit {
  readonly podSandboxId?: string | undefined;
  readonly port?: readonly number[] | undefined;
}
function wPortForwardRequest(w: Writer, m: PortForwardRequestInit): void {
  wString(w, 10, m.podSandboxId);
  wInt32s(w, 18, m.port);
}
function rPortForwardRequest(r: Reader, end: number, m: PortForwardRequest = { podSandboxId: "", port: [] }): PortForwardRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.podSandboxId = rString(r); break;
      case 18: rPacked(r, rInt32, m.port); break;
      case 16: rItem(r, rInt32, m.port); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PortForwardRequest: Codec<PortForwardRequest, PortForwardRequestInit> = /* @__PURE__ */ codec("PortForwardRequest", wPortForwardRequest, rPortForwardRequest);

export interface PortForwardResponse {
  url: string;
}
export interface PortForwardResponseInit {
  readonly url?: string | undefined;
}
function wPortForwardResponse(w: Writer, m: PortForwardResponseInit): void {
  wString(w, 10, m.url);
}
function rPortForwardResponse(r: Reader, end: number, m: PortForwardResponse = { url: "" }): PortForwardResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.url = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PortForwardResponse: Codec<PortForwardResponse, PortForwardResponseInit> = /* @__PURE__ */ codec("PortForwardResponse", wPortForwardResponse, rPortForwardResponse);

export interface CheckpointContainerRequest {
  containerId: string;
  /** File to write. */
  location: string;
  /** Seconds; 0: the runtime's choice. */
  timeout: bigint;
}
export interface CheckpointContainerRequestInit {
  readonly containerId?: string | undefined;
  readonly location?: string | undefined;
  readonly timeout?: bigint | undefined;
}
function wCheckpointContainerRequest(w: Writer, m: CheckpointContainerRequestInit): void {
  wString(w, 10, m.containerId);
  wString(w, 18, m.location);
  wInt64(w, 24, m.timeout);
}
function rCheckpointContainerRequest(r: Reader, end: number, m: CheckpointContainerRequest = { containerId: "", location: "", timeout: 0n }): CheckpointContainerRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerId = rString(r); break;
      case 18: m.location = rString(r); break;
      case 24: m.timeout = rInt64(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const CheckpointContainerRequest: Codec<CheckpointContainerRequest, CheckpointContainerRequestInit> = /* @__PURE__ */ codec("CheckpointContainerRequest", wCheckpointContainerRequest, rCheckpointContainerRequest);

export type CheckpointContainerResponse = Record<never, never>;
export type CheckpointContainerResponseInit = Record<never, never>;
function wCheckpointContainerResponse(_w: Writer, _m: CheckpointContainerResponseInit): void {
}
function rCheckpointContainerResponse(r: Reader, end: number, m: CheckpointContainerResponse = {}): CheckpointContainerResponse {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const CheckpointContainerResponse: Codec<CheckpointContainerResponse, CheckpointContainerResponseInit> = /* @__PURE__ */ codec("CheckpointContainerResponse", wCheckpointContainerResponse, rCheckpointContainerResponse);

/** Checkpoints the whole pod, or the containers that are named. */
export interface CheckpointPodRequest {
  podSandboxId: string;
  /** Archive to write. */
  outputPath: string;
  containerIds: string[];
  options: Record<string, string>;
}
export interface CheckpointPodRequestInit {
  readonly podSandboxId?: string | undefined;
  readonly outputPath?: string | undefined;
  readonly containerIds?: readonly string[] | undefined;
  readonly options?: Readonly<Record<string, string>> | undefined;
}
function wCheckpointPodRequest(w: Writer, m: CheckpointPodRequestInit): void {
  wString(w, 10, m.podSandboxId);
  wString(w, 18, m.outputPath);
  wStrings(w, 26, m.containerIds);
  wStringMap(w, 34, m.options);
}
function rCheckpointPodRequest(r: Reader, end: number, m: CheckpointPodRequest = { podSandboxId: "", outputPath: "", containerIds: [], options: emptyMap() }): CheckpointPodRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.podSandboxId = rString(r); break;
      case 18: m.outputPath = rString(r); break;
      case 26: rStringsItem(r, m.containerIds); break;
      case 34: rStringMapItem(r, m.options); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const CheckpointPodRequest: Codec<CheckpointPodRequest, CheckpointPodRequestInit> = /* @__PURE__ */ codec("CheckpointPodRequest", wCheckpointPodRequest, rCheckpointPodRequest);

export type CheckpointPodResponse = Record<never, never>;
export type CheckpointPodResponseInit = Record<never, never>;
function wCheckpointPodResponse(_w: Writer, _m: CheckpointPodResponseInit): void {
}
function rCheckpointPodResponse(r: Reader, end: number, m: CheckpointPodResponse = {}): CheckpointPodResponse {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const CheckpointPodResponse: Codec<CheckpointPodResponse, CheckpointPodResponseInit> = /* @__PURE__ */ codec("CheckpointPodResponse", wCheckpointPodResponse, rCheckpointPodResponse);

/** Brings a pod back from an archive, under a new configuration. */
export interface RestorePodRequest {
  checkpointPath: string;
  config?: PodSandboxConfig | undefined;
  runtimeHandler: string;
  options: Record<string, string>;
  containerConfigs: ContainerConfig[];
}
export interface RestorePodRequestInit {
  readonly checkpointPath?: string | undefined;
  readonly config?: PodSandboxConfigInit | undefined;
  readonly runtimeHandler?: string | undefined;
  readonly options?: Readonly<Record<string, string>> | undefined;
  readonly containerConfigs?: readonly ContainerConfigInit[] | undefined;
}
function wRestorePodRequest(w: Writer, m: RestorePodRequestInit): void {
  wString(w, 10, m.checkpointPath);
  wMessage(w, 18, wPodSandboxConfig, m.config);
  wString(w, 26, m.runtimeHandler);
  wStringMap(w, 34, m.options);
  wMessages(w, 42, wContainerConfig, m.containerConfigs);
}
function rRestorePodRequest(r: Reader, end: number, m: RestorePodRequest = { checkpointPath: "", config: undefined, runtimeHandler: "", options: emptyMap(), containerConfigs: [] }): RestorePodRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.checkpointPath = rString(r); break;
      case 18: m.config = rMessage(r, rPodSandboxConfig, m.config); break;
      case 26: m.runtimeHandler = rString(r); break;
      case 34: rStringMapItem(r, m.options); break;
      case 42: rMessagesItem(r, rContainerConfig, m.containerConfigs); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RestorePodRequest: Codec<RestorePodRequest, RestorePodRequestInit> = /* @__PURE__ */ codec("RestorePodRequest", wRestorePodRequest, rRestorePodRequest);

export interface RestorePodResponse {
  podSandboxId: string;
  restoredContainers: RestoredContainer[];
}
export interface RestorePodResponseInit {
  readonly podSandboxId?: string | undefined;
  readonly restoredContainers?: readonly RestoredContainerInit[] | undefined;
}
function wRestorePodResponse(w: Writer, m: RestorePodResponseInit): void {
  wString(w, 10, m.podSandboxId);
  wMessages(w, 18, wRestoredContainer, m.restoredContainers);
}
function rRestorePodResponse(r: Reader, end: number, m: RestorePodResponse = { podSandboxId: "", restoredContainers: [] }): RestorePodResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.podSandboxId = rString(r); break;
      case 18: rMessagesItem(r, rRestoredContainer, m.restoredContainers); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RestorePodResponse: Codec<RestorePodResponse, RestorePodResponseInit> = /* @__PURE__ */ codec("RestorePodResponse", wRestorePodResponse, rRestorePodResponse);

export interface RestoredContainer {
  name: string;
  containerId: string;
}
export interface RestoredContainerInit {
  readonly name?: string | undefined;
  readonly containerId?: string | undefined;
}
function wRestoredContainer(w: Writer, m: RestoredContainerInit): void {
  wString(w, 10, m.name);
  wString(w, 18, m.containerId);
}
function rRestoredContainer(r: Reader, end: number, m: RestoredContainer = { name: "", containerId: "" }): RestoredContainer {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.name = rString(r); break;
      case 18: m.containerId = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RestoredContainer: Codec<RestoredContainer, RestoredContainerInit> = /* @__PURE__ */ codec("RestoredContainer", wRestoredContainer, rRestoredContainer);

/** Asks for the events of all containers from now on. */
export type GetEventsRequest = Record<never, never>;
export type GetEventsRequestInit = Record<never, never>;
function wGetEventsRequest(_w: Writer, _m: GetEventsRequestInit): void {
}
function rGetEventsRequest(r: Reader, end: number, m: GetEventsRequest = {}): GetEventsRequest {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const GetEventsRequest: Codec<GetEventsRequest, GetEventsRequestInit> = /* @__PURE__ */ codec("GetEventsRequest", wGetEventsRequest, rGetEventsRequest);

/** Something happened to a container; the statuses are those right after it. */
export interface ContainerEventResponse {
  containerId: string;
  containerEventType: ContainerEventType;
  /** When it happened, ns. */
  createdAt: bigint;
  podSandboxStatus?: PodSandboxStatus | undefined;
  containersStatuses: ContainerStatus[];
}
export interface ContainerEventResponseInit {
  readonly containerId?: string | undefined;
  readonly containerEventType?: ContainerEventType | undefined;
  readonly createdAt?: bigint | undefined;
  readonly podSandboxStatus?: PodSandboxStatusInit | undefined;
  readonly containersStatuses?: readonly ContainerStatusInit[] | undefined;
}
function wContainerEventResponse(w: Writer, m: ContainerEventResponseInit): void {
  wString(w, 10, m.containerId);
  wInt32(w, 16, m.containerEventType);
  wInt64(w, 24, m.createdAt);
  wMessage(w, 34, wPodSandboxStatus, m.podSandboxStatus);
  wMessages(w, 42, wContainerStatus, m.containersStatuses);
}
function rContainerEventResponse(r: Reader, end: number, m: ContainerEventResponse = { containerId: "", containerEventType: 0, createdAt: 0n, podSandboxStatus: undefined, containersStatuses: [] }): ContainerEventResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerId = rString(r); break;
      case 16: m.containerEventType = r.int32(); break;
      case 24: m.createdAt = rInt64(r); break;
      case 34: m.podSandboxStatus = rMessage(r, rPodSandboxStatus, m.podSandboxStatus); break;
      case 42: rMessagesItem(r, rContainerStatus, m.containersStatuses); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ContainerEventResponse: Codec<ContainerEventResponse, ContainerEventResponseInit> = /* @__PURE__ */ codec("ContainerEventResponse", wContainerEventResponse, rContainerEventResponse);

export interface ContainerStatsRequest {
  containerId: string;
}
export interface ContainerStatsRequestInit {
  readonly containerId?: string | undefined;
}
function wContainerStatsRequest(w: Writer, m: ContainerStatsRequestInit): void {
  wString(w, 10, m.containerId);
}
function rContainerStatsRequest(r: Reader, end: number, m: ContainerStatsRequest = { containerId: "" }): ContainerStatsRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerId = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ContainerStatsRequest: Codec<ContainerStatsRequest, ContainerStatsRequestInit> = /* @__PURE__ */ codec("ContainerStatsRequest", wContainerStatsRequest, rContainerStatsRequest);

export interface ContainerStatsResponse {
  stats?: ContainerStats | undefined;
}
export interface ContainerStatsResponseInit {
  readonly stats?: ContainerStatsInit | undefined;
}
function wContainerStatsResponse(w: Writer, m: ContainerStatsResponseInit): void {
  wMessage(w, 10, wContainerStats, m.stats);
}
function rContainerStatsResponse(r: Reader, end: number, m: ContainerStatsResponse = { stats: undefined }): ContainerStatsResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.stats = rMessage(r, rContainerStats, m.stats); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ContainerStatsResponse: Codec<ContainerStatsResponse, ContainerStatsResponseInit> = /* @__PURE__ */ codec("ContainerStatsResponse", wContainerStatsResponse, rContainerStatsResponse);

/** All parts that are given must match; ids may be prefixes. */
export interface ContainerStatsFilter {
  id: string;
  podSandboxId: string;
  labelSelector: Record<string, string>;
}
export interface ContainerStatsFilterInit {
  readonly id?: string | undefined;
  readonly podSandboxId?: string | undefined;
  readonly labelSelector?: Readonly<Record<string, string>> | undefined;
}
function wContainerStatsFilter(w: Writer, m: ContainerStatsFilterInit): void {
  wString(w, 10, m.id);
  wString(w, 18, m.podSandboxId);
  wStringMap(w, 26, m.labelSelector);
}
function rContainerStatsFilter(r: Reader, end: number, m: ContainerStatsFilter = { id: "", podSandboxId: "", labelSelector: emptyMap() }): ContainerStatsFilter {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.podSandboxId = rString(r); break;
      case 26: rStringMapItem(r, m.labelSelector); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ContainerStatsFilter: Codec<ContainerStatsFilter, ContainerStatsFilterInit> = /* @__PURE__ */ codec("ContainerStatsFilter", wContainerStatsFilter, rContainerStatsFilter);

export interface ListContainerStatsRequest {
  filter?: ContainerStatsFilter | undefined;
}
export interface ListContainerStatsRequestInit {
  readonly filter?: ContainerStatsFilterInit | undefined;
}
function wListContainerStatsRequest(w: Writer, m: ListContainerStatsRequestInit): void {
  wMessage(w, 10, wContainerStatsFilter, m.filter);
}
function rListContainerStatsRequest(r: Reader, end: number, m: ListContainerStatsRequest = { filter: undefined }): ListContainerStatsRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.filter = rMessage(r, rContainerStatsFilter, m.filter); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ListContainerStatsRequest: Codec<ListContainerStatsRequest, ListContainerStatsRequestInit> = /* @__PURE__ */ codec("ListContainerStatsRequest", wListContainerStatsRequest, rListContainerStatsRequest);

export interface ListContainerStatsResponse {
  stats: ContainerStats[];
}
export interface ListContainerStatsResponseInit {
  readonly stats?: readonly ContainerStatsInit[] | undefined;
}
function wListContainerStatsResponse(w: Writer, m: ListContainerStatsResponseInit): void {
  wMessages(w, 10, wContainerStats, m.stats);
}
function rListContainerStatsResponse(r: Reader, end: number, m: ListContainerStatsResponse = { stats: [] }): ListContainerStatsResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rMessagesItem(r, rContainerStats, m.stats); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ListContainerStatsResponse: Codec<ListContainerStatsResponse, ListContainerStatsResponseInit> = /* @__PURE__ */ codec("ListContainerStatsResponse", wListContainerStatsResponse, rListContainerStatsResponse);

export interface StreamContainerStatsRequest {
  filter?: ContainerStatsFilter | undefined;
}
export interface StreamContainerStatsRequestInit {
  readonly filter?: ContainerStatsFilterInit | undefined;
}
function wStreamContainerStatsRequest(w: Writer, m: StreamContainerStatsRequestInit): void {
  wMessage(w, 10, wContainerStatsFilter, m.filter);
}
function rStreamContainerStatsRequest(r: Reader, end: number, m: StreamContainerStatsRequest = { filter: undefined }): StreamContainerStatsRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.filter = rMessage(r, rContainerStatsFilter, m.filter); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StreamContainerStatsRequest: Codec<StreamContainerStatsRequest, StreamContainerStatsRequestInit> = /* @__PURE__ */ codec("StreamContainerStatsRequest", wStreamContainerStatsRequest, rStreamContainerStatsRequest);

export interface StreamContainerStatsResponse {
  containerStats: ContainerStats[];
}
export interface StreamContainerStatsResponseInit {
  readonly containerStats?: readonly ContainerStatsInit[] | undefined;
}
function wStreamContainerStatsResponse(w: Writer, m: StreamContainerStatsResponseInit): void {
  wMessages(w, 10, wContainerStats, m.containerStats);
}
function rStreamContainerStatsResponse(r: Reader, end: number, m: StreamContainerStatsResponse = { containerStats: [] }): StreamContainerStatsResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rMessagesItem(r, rContainerStats, m.containerStats); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StreamContainerStatsResponse: Codec<StreamContainerStatsResponse, StreamContainerStatsResponseInit> = /* @__PURE__ */ codec("StreamContainerStatsResponse", wStreamContainerStatsResponse, rStreamContainerStatsResponse);

/** The usage of one container. */
export interface ContainerStats {
  attributes?: ContainerAttributes | undefined;
  cpu?: CpuUsage | undefined;
  memory?: MemoryUsage | undefined;
  /** What the container has written to its root filesystem. */
  writableLayer?: FilesystemUsage | undefined;
  swap?: SwapUsage | undefined;
  io?: IoUsage | undefined;
}
export interface ContainerStatsInit {
  readonly attributes?: ContainerAttributesInit | undefined;
  readonly cpu?: CpuUsageInit | undefined;
  readonly memory?: MemoryUsageInit | undefined;
  readonly writableLayer?: FilesystemUsageInit | undefined;
  readonly swap?: SwapUsageInit | undefined;
  readonly io?: IoUsageInit | undefined;
}
function wContainerStats(w: Writer, m: ContainerStatsInit): void {
  wMessage(w, 10, wContainerAttributes, m.attributes);
  wMessage(w, 18, wCpuUsage, m.cpu);
  wMessage(w, 26, wMemoryUsage, m.memory);
  wMessage(w, 34, wFilesystemUsage, m.writableLayer);
  wMessage(w, 42, wSwapUsage, m.swap);
  wMessage(w, 50, wIoUsage, m.io);
}
function rContainerStats(r: Reader, end: number, m: ContainerStats = { attributes: undefined, cpu: undefined, memory: undefined, writableLayer: undefined, swap: undefined, io: undefined }): ContainerStats {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.attributes = rMessage(r, rContainerAttributes, m.attributes); break;
      case 18: m.cpu = rMessage(r, rCpuUsage, m.cpu); break;
      case 26: m.memory = rMessage(r, rMemoryUsage, m.memory); break;
      case 34: m.writableLayer = rMessage(r, rFilesystemUsage, m.writableLayer); break;
      case 42: m.swap = rMessage(r, rSwapUsage, m.swap); break;
      case 50: m.io = rMessage(r, rIoUsage, m.io); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ContainerStats: Codec<ContainerStats, ContainerStatsInit> = /* @__PURE__ */ codec("ContainerStats", wContainerStats, rContainerStats);

/** Which container the figures are about. */
export interface ContainerAttributes {
  id: string;
  metadata?: ContainerMetadata | undefined;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}
export interface ContainerAttributesInit {
  readonly id?: string | undefined;
  readonly metadata?: ContainerMetadataInit | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}
function wContainerAttributes(w: Writer, m: ContainerAttributesInit): void {
  wString(w, 10, m.id);
  wMessage(w, 18, wContainerMetadata, m.metadata);
  wStringMap(w, 26, m.labels);
  wStringMap(w, 34, m.annotations);
}
function rContainerAttributes(r: Reader, end: number, m: ContainerAttributes = { id: "", metadata: undefined, labels: emptyMap(), annotations: emptyMap() }): ContainerAttributes {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.metadata = rMessage(r, rContainerMetadata, m.metadata); break;
      case 26: rStringMapItem(r, m.labels); break;
      case 34: rStringMapItem(r, m.annotations); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ContainerAttributes: Codec<ContainerAttributes, ContainerAttributesInit> = /* @__PURE__ */ codec("ContainerAttributes", wContainerAttributes, rContainerAttributes);

export interface PodSandboxStatsRequest {
  podSandboxId: string;
}
export interface PodSandboxStatsRequestInit {
  readonly podSandboxId?: string | undefined;
}
function wPodSandboxStatsRequest(w: Writer, m: PodSandboxStatsRequestInit): void {
  wString(w, 10, m.podSandboxId);
}
function rPodSandboxStatsRequest(r: Reader, end: number, m: PodSandboxStatsRequest = { podSandboxId: "" }): PodSandboxStatsRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.podSandboxId = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PodSandboxStatsRequest: Codec<PodSandboxStatsRequest, PodSandboxStatsRequestInit> = /* @__PURE__ */ codec("PodSandboxStatsRequest", wPodSandboxStatsRequest, rPodSandboxStatsRequest);

export interface PodSandboxStatsResponse {
  stats?: PodSandboxStats | undefined;
}
export interface PodSandboxStatsResponseInit {
  readonly stats?: PodSandboxStatsInit | undefined;
}
function wPodSandboxStatsResponse(w: Writer, m: PodSandboxStatsResponseInit): void {
  wMessage(w, 10, wPodSandboxStats, m.stats);
}
function rPodSandboxStatsResponse(r: Reader, end: number, m: PodSandboxStatsResponse = { stats: undefined }): PodSandboxStatsResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.stats = rMessage(r, rPodSandboxStats, m.stats); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PodSandboxStatsResponse: Codec<PodSandboxStatsResponse, PodSandboxStatsResponseInit> = /* @__PURE__ */ codec("PodSandboxStatsResponse", wPodSandboxStatsResponse, rPodSandboxStatsResponse);

/** All parts that are given must match; the id may be a prefix. */
export interface PodSandboxStatsFilter {
  id: string;
  labelSelector: Record<string, string>;
}
export interface PodSandboxStatsFilterInit {
  readonly id?: string | undefined;
  readonly labelSelector?: Readonly<Record<string, string>> | undefined;
}
function wPodSandboxStatsFilter(w: Writer, m: PodSandboxStatsFilterInit): void {
  wString(w, 10, m.id);
  wStringMap(w, 18, m.labelSelector);
}
function rPodSandboxStatsFilter(r: Reader, end: number, m: PodSandboxStatsFilter = { id: "", labelSelector: emptyMap() }): PodSandboxStatsFilter {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: rStringMapItem(r, m.labelSelector); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PodSandboxStatsFilter: Codec<PodSandboxStatsFilter, PodSandboxStatsFilterInit> = /* @__PURE__ */ codec("PodSandboxStatsFilter", wPodSandboxStatsFilter, rPodSandboxStatsFilter);

export interface ListPodSandboxStatsRequest {
  filter?: PodSandboxStatsFilter | undefined;
}
export interface ListPodSandboxStatsRequestInit {
  readonly filter?: PodSandboxStatsFilterInit | undefined;
}
function wListPodSandboxStatsRequest(w: Writer, m: ListPodSandboxStatsRequestInit): void {
  wMessage(w, 10, wPodSandboxStatsFilter, m.filter);
}
function rListPodSandboxStatsRequest(r: Reader, end: number, m: ListPodSandboxStatsRequest = { filter: undefined }): ListPodSandboxStatsRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.filter = rMessage(r, rPodSandboxStatsFilter, m.filter); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ListPodSandboxStatsRequest: Codec<ListPodSandboxStatsRequest, ListPodSandboxStatsRequestInit> = /* @__PURE__ */ codec("ListPodSandboxStatsRequest", wListPodSandboxStatsRequest, rListPodSandboxStatsRequest);

export interface ListPodSandboxStatsResponse {
  stats: PodSandboxStats[];
}
export interface ListPodSandboxStatsResponseInit {
  readonly stats?: readonly PodSandboxStatsInit[] | undefined;
}
function wListPodSandboxStatsResponse(w: Writer, m: ListPodSandboxStatsResponseInit): void {
  wMessages(w, 10, wPodSandboxStats, m.stats);
}
function rListPodSandboxStatsResponse(r: Reader, end: number, m: ListPodSandboxStatsResponse = { stats: [] }): ListPodSandboxStatsResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rMessagesItem(r, rPodSandboxStats, m.stats); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ListPodSandboxStatsResponse: Codec<ListPodSandboxStatsResponse, ListPodSandboxStatsResponseInit> = /* @__PURE__ */ codec("ListPodSandboxStatsResponse", wListPodSandboxStatsResponse, rListPodSandboxStatsResponse);

export interface StreamPodSandboxStatsRequest {
  filter?: PodSandboxStatsFilter | undefined;
}
export interface StreamPodSandboxStatsRequestInit {
  readonly filter?: PodSandboxStatsFilterInit | undefined;
}
function wStreamPodSandboxStatsRequest(w: Writer, m: StreamPodSandboxStatsRequestInit): void {
  wMessage(w, 10, wPodSandboxStatsFilter, m.filter);
}
function rStreamPodSandboxStatsRequest(r: Reader, end: number, m: StreamPodSandboxStatsRequest = { filter: undefined }): StreamPodSandboxStatsRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.filter = rMessage(r, rPodSandboxStatsFilter, m.filter); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StreamPodSandboxStatsRequest: Codec<StreamPodSandboxStatsRequest, StreamPodSandboxStatsRequestInit> = /* @__PURE__ */ codec("StreamPodSandboxStatsRequest", wStreamPodSandboxStatsRequest, rStreamPodSandboxStatsRequest);

export interface StreamPodSandboxStatsResponse {
  podSandboxStats: PodSandboxStats[];
}
export interface StreamPodSandboxStatsResponseInit {
  readonly podSandboxStats?: readonly PodSandboxStatsInit[] | undefined;
}
function wStreamPodSandboxStatsResponse(w: Writer, m: StreamPodSandboxStatsResponseInit): void {
  wMessages(w, 10, wPodSandboxStats, m.podSandboxStats);
}
function rStreamPodSandboxStatsResponse(r: Reader, end: number, m: StreamPodSandboxStatsResponse = { podSandboxStats: [] }): StreamPodSandboxStatsResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rMessagesItem(r, rPodSandboxStats, m.podSandboxStats); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StreamPodSandboxStatsResponse: Codec<StreamPodSandboxStatsResponse, StreamPodSandboxStatsResponseInit> = /* @__PURE__ */ codec("StreamPodSandboxStatsResponse", wStreamPodSandboxStatsResponse, rStreamPodSandboxStatsResponse);

/** The usage of one pod. */
export interface PodSandboxStats {
  attributes?: PodSandboxAttributes | undefined;
  linux?: LinuxPodSandboxStats | undefined;
  windows?: WindowsPodSandboxStats | undefined;
}
export interface PodSandboxStatsInit {
  readonly attributes?: PodSandboxAttributesInit | undefined;
  readonly linux?: LinuxPodSandboxStatsInit | undefined;
  readonly windows?: WindowsPodSandboxStatsInit | undefined;
}
function wPodSandboxStats(w: Writer, m: PodSandboxStatsInit): void {
  wMessage(w, 10, wPodSandboxAttributes, m.attributes);
  wMessage(w, 18, wLinuxPodSandboxStats, m.linux);
  wMessage(w, 26, wWindowsPodSandboxStats, m.windows);
}
function rPodSandboxStats(r: Reader, end: number, m: PodSandboxStats = { attributes: undefined, linux: undefined, windows: undefined }): PodSandboxStats {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.attributes = rMessage(r, rPodSandboxAttributes, m.attributes); break;
      case 18: m.linux = rMessage(r, rLinuxPodSandboxStats, m.linux); break;
      case 26: m.windows = rMessage(r, rWindowsPodSandboxStats, m.windows); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PodSandboxStats: Codec<PodSandboxStats, PodSandboxStatsInit> = /* @__PURE__ */ codec("PodSandboxStats", wPodSandboxStats, rPodSandboxStats);

/** Which pod the figures are about. */
export interface PodSandboxAttributes {
  id: string;
  metadata?: PodSandboxMetadata | undefined;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}
export interface PodSandboxAttributesInit {
  readonly id?: string | undefined;
  readonly metadata?: PodSandboxMetadataInit | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}
function wPodSandboxAttributes(w: Writer, m: PodSandboxAttributesInit): void {
  wString(w, 10, m.id);
  wMessage(w, 18, wPodSandboxMetadata, m.metadata);
  wStringMap(w, 26, m.labels);
  wStringMap(w, 34, m.annotations);
}
function rPodSandboxAttributes(r: Reader, end: number, m: PodSandboxAttributes = { id: "", metadata: undefined, labels: emptyMap(), annotations: emptyMap() }): PodSandboxAttributes {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: m.metadata = rMessage(r, rPodSandboxMetadata, m.metadata); break;
      case 26: rStringMapItem(r, m.labels); break;
      case 34: rStringMapItem(r, m.annotations); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PodSandboxAttributes: Codec<PodSandboxAttributes, PodSandboxAttributesInit> = /* @__PURE__ */ codec("PodSandboxAttributes", wPodSandboxAttributes, rPodSandboxAttributes);

/** The figures of a pod on Linux. */
export interface LinuxPodSandboxStats {
  cpu?: CpuUsage | undefined;
  memory?: MemoryUsage | undefined;
  network?: NetworkUsage | undefined;
  process?: ProcessUsage | undefined;
  containers: ContainerStats[];
  io?: IoUsage | undefined;
}
export interface LinuxPodSandboxStatsInit {
  readonly cpu?: CpuUsageInit | undefined;
  readonly memory?: MemoryUsageInit | undefined;
  readonly network?: NetworkUsageInit | undefined;
  readonly process?: ProcessUsageInit | undefined;
  readonly containers?: readonly ContainerStatsInit[] | undefined;
  readonly io?: IoUsageInit | undefined;
}
function wLinuxPodSandboxStats(w: Writer, m: LinuxPodSandboxStatsInit): void {
  wMessage(w, 10, wCpuUsage, m.cpu);
  wMessage(w, 18, wMemoryUsage, m.memory);
  wMessage(w, 26, wNetworkUsage, m.network);
  wMessage(w, 34, wProcessUsage, m.process);
  wMessages(w, 42, wContainerStats, m.containers);
  wMessage(w, 50, wIoUsage, m.io);
}
function rLinuxPodSandboxStats(r: Reader, end: number, m: LinuxPodSandboxStats = { cpu: undefined, memory: undefined, network: undefined, process: undefined, containers: [], io: undefined }): LinuxPodSandboxStats {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.cpu = rMessage(r, rCpuUsage, m.cpu); break;
      case 18: m.memory = rMessage(r, rMemoryUsage, m.memory); break;
      case 26: m.network = rMessage(r, rNetworkUsage, m.network); break;
      case 34: m.process = rMessage(r, rProcessUsage, m.process); break;
      case 42: rMessagesItem(r, rContainerStats, m.containers); break;
      case 50: m.io = rMessage(r, rIoUsage, m.io); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const LinuxPodSandboxStats: Codec<LinuxPodSandboxStats, LinuxPodSandboxStatsInit> = /* @__PURE__ */ codec("LinuxPodSandboxStats", wLinuxPodSandboxStats, rLinuxPodSandboxStats);

/** Processor time, with the time of the sample. */
export interface CpuUsage {
  timestamp: bigint;
  /** Since the start, over all cores. */
  usageCoreNanoSeconds?: UInt64Value | undefined;
  /** The rate between two samples: 1e9 is one core. */
  usageNanoCores?: UInt64Value | undefined;
  psi?: PsiStats | undefined;
}
export interface CpuUsageInit {
  readonly timestamp?: bigint | undefined;
  readonly usageCoreNanoSeconds?: UInt64ValueInit | undefined;
  readonly usageNanoCores?: UInt64ValueInit | undefined;
  readonly psi?: PsiStatsInit | undefined;
}
function wCpuUsage(w: Writer, m: CpuUsageInit): void {
  wInt64(w, 8, m.timestamp);
  wMessage(w, 18, wUInt64Value, m.usageCoreNanoSeconds);
  wMessage(w, 26, wUInt64Value, m.usageNanoCores);
  wMessage(w, 34, wPsiStats, m.psi);
}
function rCpuUsage(r: Reader, end: number, m: CpuUsage = { timestamp: 0n, usageCoreNanoSeconds: undefined, usageNanoCores: undefined, psi: undefined }): CpuUsage {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.timestamp = rInt64(r); break;
      case 18: m.usageCoreNanoSeconds = rMessage(r, rUInt64Value, m.usageCoreNanoSeconds); break;
      case 26: m.usageNanoCores = rMessage(r, rUInt64Value, m.usageNanoCores); break;
      case 34: m.psi = rMessage(r, rPsiStats, m.psi); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const CpuUsage: Codec<CpuUsage, CpuUsageInit> = /* @__PURE__ */ codec("CpuUsage", wCpuUsage, rCpuUsage);

/** Memory, with the time of the sample. */
export interface MemoryUsage {
  timestamp: bigint;
  /** Usage less what can be dropped at once (inactive file pages). */
  workingSetBytes?: UInt64Value | undefined;
  /** Limit less working set; absent without a limit. */
  availableBytes?: UInt64Value | undefined;
  usageBytes?: UInt64Value | undefined;
  rssBytes?: UInt64Value | undefined;
  pageFaults?: UInt64Value | undefined;
  majorPageFaults?: UInt64Value | undefined;
  psi?: PsiStats | undefined;
}
export interface MemoryUsageInit {
  readonly timestamp?: bigint | undefined;
  readonly workingSetBytes?: UInt64ValueInit | undefined;
  readonly availableBytes?: UInt64ValueInit | undefined;
  readonly usageBytes?: UInt64ValueInit | undefined;
  readonly rssBytes?: UInt64ValueInit | undefined;
  readonly pageFaults?: UInt64ValueInit | undefined;
  readonly majorPageFaults?: UInt64ValueInit | undefined;
  readonly psi?: PsiStatsInit | undefined;
}
function wMemoryUsage(w: Writer, m: MemoryUsageInit): void {
  wInt64(w, 8, m.timestamp);
  wMessage(w, 18, wUInt64Value, m.workingSetBytes);
  wMessage(w, 26, wUInt64Value, m.availableBytes);
  wMessage(w, 34, wUInt64Value, m.usageBytes);
  wMessage(w, 42, wUInt64Value, m.rssBytes);
  wMessage(w, 50, wUInt64Value, m.pageFaults);
  wMessage(w, 58, wUInt64Value, m.majorPageFaults);
  wMessage(w, 66, wPsiStats, m.psi);
}
function rMemoryUsage(r: Reader, end: number, m: MemoryUsage = { timestamp: 0n, workingSetBytes: undefined, availableBytes: undefined, usageBytes: undefined, rssBytes: undefined, pageFaults: undefined, majorPageFaults: undefined, psi: undefined }): MemoryUsage {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.timestamp = rInt64(r); break;
      case 18: m.workingSetBytes = rMessage(r, rUInt64Value, m.workingSetBytes); break;
      case 26: m.availableBytes = rMessage(r, rUInt64Value, m.availableBytes); break;
      case 34: m.usageBytes = rMessage(r, rUInt64Value, m.usageBytes); break;
      case 42: m.rssBytes = rMessage(r, rUInt64Value, m.rssBytes); break;
      case 50: m.pageFaults = rMessage(r, rUInt64Value, m.pageFaults); break;
      case 58: m.majorPageFaults = rMessage(r, rUInt64Value, m.majorPageFaults); break;
      case 66: m.psi = rMessage(r, rPsiStats, m.psi); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const MemoryUsage: Codec<MemoryUsage, MemoryUsageInit> = /* @__PURE__ */ codec("MemoryUsage", wMemoryUsage, rMemoryUsage);

/** Swap, with the time of the sample. */
export interface SwapUsage {
  timestamp: bigint;
  swapAvailableBytes?: UInt64Value | undefined;
  swapUsageBytes?: UInt64Value | undefined;
}
export interface SwapUsageInit {
  readonly timestamp?: bigint | undefined;
  readonly swapAvailableBytes?: UInt64ValueInit | undefined;
  readonly swapUsageBytes?: UInt64ValueInit | undefined;
}
function wSwapUsage(w: Writer, m: SwapUsageInit): void {
  wInt64(w, 8, m.timestamp);
  wMessage(w, 18, wUInt64Value, m.swapAvailableBytes);
  wMessage(w, 26, wUInt64Value, m.swapUsageBytes);
}
function rSwapUsage(r: Reader, end: number, m: SwapUsage = { timestamp: 0n, swapAvailableBytes: undefined, swapUsageBytes: undefined }): SwapUsage {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.timestamp = rInt64(r); break;
      case 18: m.swapAvailableBytes = rMessage(r, rUInt64Value, m.swapAvailableBytes); break;
      case 26: m.swapUsageBytes = rMessage(r, rUInt64Value, m.swapUsageBytes); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const SwapUsage: Codec<SwapUsage, SwapUsageInit> = /* @__PURE__ */ codec("SwapUsage", wSwapUsage, rSwapUsage);

/** Pressure on input and output. */
export interface IoUsage {
  timestamp: bigint;
  psi?: PsiStats | undefined;
}
export interface IoUsageInit {
  readonly timestamp?: bigint | undefined;
  readonly psi?: PsiStatsInit | undefined;
}
function wIoUsage(w: Writer, m: IoUsageInit): void {
  wInt64(w, 8, m.timestamp);
  wMessage(w, 18, wPsiStats, m.psi);
}
function rIoUsage(r: Reader, end: number, m: IoUsage = { timestamp: 0n, psi: undefined }): IoUsage {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.timestamp = rInt64(r); break;
      case 18: m.psi = rMessage(r, rPsiStats, m.psi); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const IoUsage: Codec<IoUsage, IoUsageInit> = /* @__PURE__ */ codec("IoUsage", wIoUsage, rIoUsage);

/** Pressure stall information: when all tasks waited (Full) and when some did. */
export interface PsiStats {
  full?: PsiData | undefined;
  some?: PsiData | undefined;
}
export interface PsiStatsInit {
  readonly full?: PsiDataInit | undefined;
  readonly some?: PsiDataInit | undefined;
}
function wPsiStats(w: Writer, m: PsiStatsInit): void {
  wMessage(w, 10, wPsiData, m.full);
  wMessage(w, 18, wPsiData, m.some);
}
function rPsiStats(r: Reader, end: number, m: PsiStats = { full: undefined, some: undefined }): PsiStats {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.full = rMessage(r, rPsiData, m.full); break;
      case 18: m.some = rMessage(r, rPsiData, m.some); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PsiStats: Codec<PsiStats, PsiStatsInit> = /* @__PURE__ */ codec("PsiStats", wPsiStats, rPsiStats);

/** Shares of time in percent over three windows (seconds) and the total in microseconds. */
export interface PsiData {
  total: bigint;
  avg10: number;
  avg60: number;
  avg300: number;
}
export interface PsiDataInit {
  readonly total?: bigint | undefined;
  readonly avg10?: number | undefined;
  readonly avg60?: number | undefined;
  readonly avg300?: number | undefined;
}
function wPsiData(w: Writer, m: PsiDataInit): void {
  wUint64(w, 8, m.total);
  wDouble(w, 17, m.avg10);
  wDouble(w, 25, m.avg60);
  wDouble(w, 33, m.avg300);
}
function rPsiData(r: Reader, end: number, m: PsiData = { total: 0n, avg10: 0, avg60: 0, avg300: 0 }): PsiData {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.total = rUint64(r); break;
      case 17: m.avg10 = r.double(); break;
      case 25: m.avg60 = r.double(); break;
      case 33: m.avg300 = r.double(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PsiData: Codec<PsiData, PsiDataInit> = /* @__PURE__ */ codec("PsiData", wPsiData, rPsiData);

/** How many processes there are. */
export interface ProcessUsage {
  timestamp: bigint;
  processCount?: UInt64Value | undefined;
}
export interface ProcessUsageInit {
  readonly timestamp?: bigint | undefined;
  readonly processCount?: UInt64ValueInit | undefined;
}
function wProcessUsage(w: Writer, m: ProcessUsageInit): void {
  wInt64(w, 8, m.timestamp);
  wMessage(w, 18, wUInt64Value, m.processCount);
}
function rProcessUsage(r: Reader, end: number, m: ProcessUsage = { timestamp: 0n, processCount: undefined }): ProcessUsage {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.timestamp = rInt64(r); break;
      case 18: m.processCount = rMessage(r, rUInt64Value, m.processCount); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ProcessUsage: Codec<ProcessUsage, ProcessUsageInit> = /* @__PURE__ */ codec("ProcessUsage", wProcessUsage, rProcessUsage);

/** Traffic of the pod's interfaces. */
export interface NetworkUsage {
  timestamp: bigint;
  defaultInterface?: NetworkInterfaceUsage | undefined;
  interfaces: NetworkInterfaceUsage[];
}
export interface NetworkUsageInit {
  readonly timestamp?: bigint | undefined;
  readonly defaultInterface?: NetworkInterfaceUsageInit | undefined;
  readonly interfaces?: readonly NetworkInterfaceUsageInit[] | undefined;
}
function wNetworkUsage(w: Writer, m: NetworkUsageInit): void {
  wInt64(w, 8, m.timestamp);
  wMessage(w, 18, wNetworkInterfaceUsage, m.defaultInterface);
  wMessages(w, 26, wNetworkInterfaceUsage, m.interfaces);
}
function rNetworkUsage(r: Reader, end: number, m: NetworkUsage = { timestamp: 0n, defaultInterface: undefined, interfaces: [] }): NetworkUsage {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.timestamp = rInt64(r); break;
      case 18: m.defaultInterface = rMessage(r, rNetworkInterfaceUsage, m.defaultInterface); break;
      case 26: rMessagesItem(r, rNetworkInterfaceUsage, m.interfaces); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const NetworkUsage: Codec<NetworkUsage, NetworkUsageInit> = /* @__PURE__ */ codec("NetworkUsage", wNetworkUsage, rNetworkUsage);

/** Traffic of one interface, both ways. */
export interface NetworkInterfaceUsage {
  name: string;
  rxBytes?: UInt64Value | undefined;
  rxErrors?: UInt64Value | undefined;
  txBytes?: UInt64Value | undefined;
  txErrors?: UInt64Value | undefined;
}
export interface NetworkInterfaceUsageInit {
  readonly name?: string | undefined;
  readonly rxBytes?: UInt64ValueInit | undefined;
  readonly rxErrors?: UInt64ValueInit | undefined;
  readonly txBytes?: UInt64ValueInit | undefined;
  readonly txErrors?: UInt64ValueInit | undefined;
}
function wNetworkInterfaceUsage(w: Writer, m: NetworkInterfaceUsageInit): void {
  wString(w, 10, m.name);
  wMessage(w, 18, wUInt64Value, m.rxBytes);
  wMessage(w, 26, wUInt64Value, m.rxErrors);
  wMessage(w, 34, wUInt64Value, m.txBytes);
  wMessage(w, 42, wUInt64Value, m.txErrors);
}
function rNetworkInterfaceUsage(r: Reader, end: number, m: NetworkInterfaceUsage = { name: "", rxBytes: undefined, rxErrors: undefined, txBytes: undefined, txErrors: undefined }): NetworkInterfaceUsage {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.name = rString(r); break;
      case 18: m.rxBytes = rMessage(r, rUInt64Value, m.rxBytes); break;
      case 26: m.rxErrors = rMessage(r, rUInt64Value, m.rxErrors); break;
      case 34: m.txBytes = rMessage(r, rUInt64Value, m.txBytes); break;
      case 42: m.txErrors = rMessage(r, rUInt64Value, m.txErrors); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const NetworkInterfaceUsage: Codec<NetworkInterfaceUsage, NetworkInterfaceUsageInit> = /* @__PURE__ */ codec("NetworkInterfaceUsage", wNetworkInterfaceUsage, rNetworkInterfaceUsage);

/** Space used on a filesystem. */
export interface FilesystemUsage {
  timestamp: bigint;
  fsId?: FilesystemIdentifier | undefined;
  usedBytes?: UInt64Value | undefined;
  inodesUsed?: UInt64Value | undefined;
}
export interface FilesystemUsageInit {
  readonly timestamp?: bigint | undefined;
  readonly fsId?: FilesystemIdentifierInit | undefined;
  readonly usedBytes?: UInt64ValueInit | undefined;
  readonly inodesUsed?: UInt64ValueInit | undefined;
}
function wFilesystemUsage(w: Writer, m: FilesystemUsageInit): void {
  wInt64(w, 8, m.timestamp);
  wMessage(w, 18, wFilesystemIdentifier, m.fsId);
  wMessage(w, 26, wUInt64Value, m.usedBytes);
  wMessage(w, 34, wUInt64Value, m.inodesUsed);
}
function rFilesystemUsage(r: Reader, end: number, m: FilesystemUsage = { timestamp: 0n, fsId: undefined, usedBytes: undefined, inodesUsed: undefined }): FilesystemUsage {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.timestamp = rInt64(r); break;
      case 18: m.fsId = rMessage(r, rFilesystemIdentifier, m.fsId); break;
      case 26: m.usedBytes = rMessage(r, rUInt64Value, m.usedBytes); break;
      case 34: m.inodesUsed = rMessage(r, rUInt64Value, m.inodesUsed); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const FilesystemUsage: Codec<FilesystemUsage, FilesystemUsageInit> = /* @__PURE__ */ codec("FilesystemUsage", wFilesystemUsage, rFilesystemUsage);

/** A filesystem, by its mount point. */
export interface FilesystemIdentifier {
  mountpoint: string;
}
export interface FilesystemIdentifierInit {
  readonly mountpoint?: string | undefined;
}
function wFilesystemIdentifier(w: Writer, m: FilesystemIdentifierInit): void {
  wString(w, 10, m.mountpoint);
}
function rFilesystemIdentifier(r: Reader, end: number, m: FilesystemIdentifier = { mountpoint: "" }): FilesystemIdentifier {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.mountpoint = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const FilesystemIdentifier: Codec<FilesystemIdentifier, FilesystemIdentifierInit> = /* @__PURE__ */ codec("FilesystemIdentifier", wFilesystemIdentifier, rFilesystemIdentifier);

export type ListMetricDescriptorsRequest = Record<never, never>;
export type ListMetricDescriptorsRequestInit = Record<never, never>;
function wListMetricDescriptorsRequest(_w: Writer, _m: ListMetricDescriptorsRequestInit): void {
}
function rListMetricDescriptorsRequest(r: Reader, end: number, m: ListMetricDescriptorsRequest = {}): ListMetricDescriptorsRequest {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const ListMetricDescriptorsRequest: Codec<ListMetricDescriptorsRequest, ListMetricDescriptorsRequestInit> = /* @__PURE__ */ codec("ListMetricDescriptorsRequest", wListMetricDescriptorsRequest, rListMetricDescriptorsRequest);

export interface ListMetricDescriptorsResponse {
  descriptors: MetricDescriptor[];
}
export interface ListMetricDescriptorsResponseInit {
  readonly descriptors?: readonly MetricDescriptorInit[] | undefined;
}
function wListMetricDescriptorsResponse(w: Writer, m: ListMetricDescriptorsResponseInit): void {
  wMessages(w, 10, wMetricDescriptor, m.descriptors);
}
function rListMetricDescriptorsResponse(r: Reader, end: number, m: ListMetricDescriptorsResponse = { descriptors: [] }): ListMetricDescriptorsResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rMessagesItem(r, rMetricDescriptor, m.descriptors); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ListMetricDescriptorsResponse: Codec<ListMetricDescriptorsResponse, ListMetricDescriptorsResponseInit> = /* @__PURE__ */ codec("ListMetricDescriptorsResponse", wListMetricDescriptorsResponse, rListMetricDescriptorsResponse);

/** A metric's name, help text and the keys of its labels, in the order of label_values. */
export interface MetricDescriptor {
  name: string;
  help: string;
  labelKeys: string[];
}
export interface MetricDescriptorInit {
  readonly name?: string | undefined;
  readonly help?: string | undefined;
  readonly labelKeys?: readonly string[] | undefined;
}
function wMetricDescriptor(w: Writer, m: MetricDescriptorInit): void {
  wString(w, 10, m.name);
  wString(w, 18, m.help);
  wStrings(w, 26, m.labelKeys);
}
function rMetricDescriptor(r: Reader, end: number, m: MetricDescriptor = { name: "", help: "", labelKeys: [] }): MetricDescriptor {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.name = rString(r); break;
      case 18: m.help = rString(r); break;
      case 26: rStringsItem(r, m.labelKeys); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const MetricDescriptor: Codec<MetricDescriptor, MetricDescriptorInit> = /* @__PURE__ */ codec("MetricDescriptor", wMetricDescriptor, rMetricDescriptor);

export type ListPodSandboxMetricsRequest = Record<never, never>;
export type ListPodSandboxMetricsRequestInit = Record<never, never>;
function wListPodSandboxMetricsRequest(_w: Writer, _m: ListPodSandboxMetricsRequestInit): void {
}
function rListPodSandboxMetricsRequest(r: Reader, end: number, m: ListPodSandboxMetricsRequest = {}): ListPodSandboxMetricsRequest {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const ListPodSandboxMetricsRequest: Codec<ListPodSandboxMetricsRequest, ListPodSandboxMetricsRequestInit> = /* @__PURE__ */ codec("ListPodSandboxMetricsRequest", wListPodSandboxMetricsRequest, rListPodSandboxMetricsRequest);

export interface ListPodSandboxMetricsResponse {
  podMetrics: PodSandboxMetrics[];
}
export interface ListPodSandboxMetricsResponseInit {
  readonly podMetrics?: readonly PodSandboxMetricsInit[] | undefined;
}
function wListPodSandboxMetricsResponse(w: Writer, m: ListPodSandboxMetricsResponseInit): void {
  wMessages(w, 10, wPodSandboxMetrics, m.podMetrics);
}
function rListPodSandboxMetricsResponse(r: Reader, end: number, m: ListPodSandboxMetricsResponse = { podMetrics: [] }): ListPodSandboxMetricsResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rMessagesItem(r, rPodSandboxMetrics, m.podMetrics); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ListPodSandboxMetricsResponse: Codec<ListPodSandboxMetricsResponse, ListPodSandboxMetricsResponseInit> = /* @__PURE__ */ codec("ListPodSandboxMetricsResponse", wListPodSandboxMetricsResponse, rListPodSandboxMetricsResponse);

export type StreamPodSandboxMetricsRequest = Record<never, never>;
export type StreamPodSandboxMetricsRequestInit = Record<never, never>;
function wStreamPodSandboxMetricsRequest(_w: Writer, _m: StreamPodSandboxMetricsRequestInit): void {
}
function rStreamPodSandboxMetricsRequest(r: Reader, end: number, m: StreamPodSandboxMetricsRequest = {}): StreamPodSandboxMetricsRequest {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const StreamPodSandboxMetricsRequest: Codec<StreamPodSandboxMetricsRequest, StreamPodSandboxMetricsRequestInit> = /* @__PURE__ */ codec("StreamPodSandboxMetricsRequest", wStreamPodSandboxMetricsRequest, rStreamPodSandboxMetricsRequest);

export interface StreamPodSandboxMetricsResponse {
  podSandboxMetrics: PodSandboxMetrics[];
}
export interface StreamPodSandboxMetricsResponseInit {
  readonly podSandboxMetrics?: readonly PodSandboxMetricsInit[] | undefined;
}
function wStreamPodSandboxMetricsResponse(w: Writer, m: StreamPodSandboxMetricsResponseInit): void {
  wMessages(w, 10, wPodSandboxMetrics, m.podSandboxMetrics);
}
function rStreamPodSandboxMetricsResponse(r: Reader, end: number, m: StreamPodSandboxMetricsResponse = { podSandboxMetrics: [] }): StreamPodSandboxMetricsResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rMessagesItem(r, rPodSandboxMetrics, m.podSandboxMetrics); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StreamPodSandboxMetricsResponse: Codec<StreamPodSandboxMetricsResponse, StreamPodSandboxMetricsResponseInit> = /* @__PURE__ */ codec("StreamPodSandboxMetricsResponse", wStreamPodSandboxMetricsResponse, rStreamPodSandboxMetricsResponse);

/** The metrics of a pod and of its containers. */
export interface PodSandboxMetrics {
  podSandboxId: string;
  metrics: Metric[];
  containerMetrics: ContainerMetrics[];
}
export interface PodSandboxMetricsInit {
  readonly podSandboxId?: string | undefined;
  readonly metrics?: readonly MetricInit[] | undefined;
  readonly containerMetrics?: readonly ContainerMetricsInit[] | undefined;
}
function wPodSandboxMetrics(w: Writer, m: PodSandboxMetricsInit): void {
  wString(w, 10, m.podSandboxId);
  wMessages(w, 18, wMetric, m.metrics);
  wMessages(w, 26, wContainerMetrics, m.containerMetrics);
}
function rPodSandboxMetrics(r: Reader, end: number, m: PodSandboxMetrics = { podSandboxId: "", metrics: [], containerMetrics: [] }): PodSandboxMetrics {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.podSandboxId = rString(r); break;
      case 18: rMessagesItem(r, rMetric, m.metrics); break;
      case 26: rMessagesItem(r, rContainerMetrics, m.containerMetrics); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PodSandboxMetrics: Codec<PodSandboxMetrics, PodSandboxMetricsInit> = /* @__PURE__ */ codec("PodSandboxMetrics", wPodSandboxMetrics, rPodSandboxMetrics);

/** The metrics of one container. */
export interface ContainerMetrics {
  containerId: string;
  metrics: Metric[];
}
export interface ContainerMetricsInit {
  readonly containerId?: string | undefined;
  readonly metrics?: readonly MetricInit[] | undefined;
}
function wContainerMetrics(w: Writer, m: ContainerMetricsInit): void {
  wString(w, 10, m.containerId);
  wMessages(w, 18, wMetric, m.metrics);
}
function rContainerMetrics(r: Reader, end: number, m: ContainerMetrics = { containerId: "", metrics: [] }): ContainerMetrics {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.containerId = rString(r); break;
      case 18: rMessagesItem(r, rMetric, m.metrics); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ContainerMetrics: Codec<ContainerMetrics, ContainerMetricsInit> = /* @__PURE__ */ codec("ContainerMetrics", wContainerMetrics, rContainerMetrics);

/** One value of a metric. */
export interface Metric {
  name: string;
  /** ns; 0: not known. */
  timestamp: bigint;
  metricType: MetricType;
  labelValues: string[];
  value?: UInt64Value | undefined;
}
export interface MetricInit {
  readonly name?: string | undefined;
  readonly timestamp?: bigint | undefined;
  readonly metricType?: MetricType | undefined;
  readonly labelValues?: readonly string[] | undefined;
  readonly value?: UInt64ValueInit | undefined;
}
function wMetric(w: Writer, m: MetricInit): void {
  wString(w, 10, m.name);
  wInt64(w, 16, m.timestamp);
  wInt32(w, 24, m.metricType);
  wStrings(w, 34, m.labelValues);
  wMessage(w, 42, wUInt64Value, m.value);
}
function rMetric(r: Reader, end: number, m: Metric = { name: "", timestamp: 0n, metricType: 0, labelValues: [], value: undefined }): Metric {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.name = rString(r); break;
      case 16: m.timestamp = rInt64(r); break;
      case 24: m.metricType = r.int32(); break;
      case 34: rStringsItem(r, m.labelValues); break;
      case 42: m.value = rMessage(r, rUInt64Value, m.value); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const Metric: Codec<Metric, MetricInit> = /* @__PURE__ */ codec("Metric", wMetric, rMetric);

/** An image of this node. */
export interface Image {
  /** sha256: and the digest of its configuration. */
  id: string;
  repoTags: string[];
  repoDigests: string[];
  /** Bytes on disk, unpacked; shared layers count in each image. */
  size: bigint;
  /** The user of the image, when it is a number. */
  uid?: Int64Value | undefined;
  /** The user of the image, when it is a name. */
  username: string;
  /** Annotations and handler it was pulled with. */
  spec?: ImageSpec | undefined;
  /** A kubelet must not collect it. */
  pinned: boolean;
}
export interface ImageInit {
  readonly id?: string | undefined;
  readonly repoTags?: readonly string[] | undefined;
  readonly repoDigests?: readonly string[] | undefined;
  readonly size?: bigint | undefined;
  readonly uid?: Int64ValueInit | undefined;
  readonly username?: string | undefined;
  readonly spec?: ImageSpecInit | undefined;
  readonly pinned?: boolean | undefined;
}
function wImage(w: Writer, m: ImageInit): void {
  wString(w, 10, m.id);
  wStrings(w, 18, m.repoTags);
  wStrings(w, 26, m.repoDigests);
  wUint64(w, 32, m.size);
  wMessage(w, 42, wInt64Value, m.uid);
  wString(w, 50, m.username);
  wMessage(w, 58, wImageSpec, m.spec);
  wBool(w, 64, m.pinned);
}
function rImage(r: Reader, end: number, m: Image = { id: "", repoTags: [], repoDigests: [], size: 0n, uid: undefined, username: "", spec: undefined, pinned: false }): Image {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.id = rString(r); break;
      case 18: rStringsItem(r, m.repoTags); break;
      case 26: rStringsItem(r, m.repoDigests); break;
      case 32: m.size = rUint64(r); break;
      case 42: m.uid = rMessage(r, rInt64Value, m.uid); break;
      case 50: m.username = rString(r); break;
      case 58: m.spec = rMessage(r, rImageSpec, m.spec); break;
      case 64: m.pinned = r.bool(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const Image: Codec<Image, ImageInit> = /* @__PURE__ */ codec("Image", wImage, rImage);

/** By reference or id. */
export interface ImageFilter {
  image?: ImageSpec | undefined;
}
export interface ImageFilterInit {
  readonly image?: ImageSpecInit | undefined;
}
function wImageFilter(w: Writer, m: ImageFilterInit): void {
  wMessage(w, 10, wImageSpec, m.image);
}
function rImageFilter(r: Reader, end: number, m: ImageFilter = { image: undefined }): ImageFilter {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.image = rMessage(r, rImageSpec, m.image); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ImageFilter: Codec<ImageFilter, ImageFilterInit> = /* @__PURE__ */ codec("ImageFilter", wImageFilter, rImageFilter);

export interface ListImagesRequest {
  filter?: ImageFilter | undefined;
}
export interface ListImagesRequestInit {
  readonly filter?: ImageFilterInit | undefined;
}
function wListImagesRequest(w: Writer, m: ListImagesRequestInit): void {
  wMessage(w, 10, wImageFilter, m.filter);
}
function rListImagesRequest(r: Reader, end: number, m: ListImagesRequest = { filter: undefined }): ListImagesRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.filter = rMessage(r, rImageFilter, m.filter); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ListImagesRequest: Codec<ListImagesRequest, ListImagesRequestInit> = /* @__PURE__ */ codec("ListImagesRequest", wListImagesRequest, rListImagesRequest);

export interface ListImagesResponse {
  images: Image[];
}
export interface ListImagesResponseInit {
  readonly images?: readonly ImageInit[] | undefined;
}
function wListImagesResponse(w: Writer, m: ListImagesResponseInit): void {
  wMessages(w, 10, wImage, m.images);
}
function rListImagesResponse(r: Reader, end: number, m: ListImagesResponse = { images: [] }): ListImagesResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rMessagesItem(r, rImage, m.images); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ListImagesResponse: Codec<ListImagesResponse, ListImagesResponseInit> = /* @__PURE__ */ codec("ListImagesResponse", wListImagesResponse, rListImagesResponse);

export interface StreamImagesRequest {
  filter?: ImageFilter | undefined;
}
export interface StreamImagesRequestInit {
  readonly filter?: ImageFilterInit | undefined;
}
function wStreamImagesRequest(w: Writer, m: StreamImagesRequestInit): void {
  wMessage(w, 10, wImageFilter, m.filter);
}
function rStreamImagesRequest(r: Reader, end: number, m: StreamImagesRequest = { filter: undefined }): StreamImagesRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.filter = rMessage(r, rImageFilter, m.filter); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StreamImagesRequest: Codec<StreamImagesRequest, StreamImagesRequestInit> = /* @__PURE__ */ codec("StreamImagesRequest", wStreamImagesRequest, rStreamImagesRequest);

export interface StreamImagesResponse {
  images: Image[];
}
export interface StreamImagesResponseInit {
  readonly images?: readonly ImageInit[] | undefined;
}
function wStreamImagesResponse(w: Writer, m: StreamImagesResponseInit): void {
  wMessages(w, 10, wImage, m.images);
}
function rStreamImagesResponse(r: Reader, end: number, m: StreamImagesResponse = { images: [] }): StreamImagesResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rMessagesItem(r, rImage, m.images); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const StreamImagesResponse: Codec<StreamImagesResponse, StreamImagesResponseInit> = /* @__PURE__ */ codec("StreamImagesResponse", wStreamImagesResponse, rStreamImagesResponse);

export interface ImageStatusRequest {
  image?: ImageSpec | undefined;
  /** Also fill `info`. */
  verbose: boolean;
}
export interface ImageStatusRequestInit {
  readonly image?: ImageSpecInit | undefined;
  readonly verbose?: boolean | undefined;
}
function wImageStatusRequest(w: Writer, m: ImageStatusRequestInit): void {
  wMessage(w, 10, wImageSpec, m.image);
  wBool(w, 16, m.verbose);
}
function rImageStatusRequest(r: Reader, end: number, m: ImageStatusRequest = { image: undefined, verbose: false }): ImageStatusRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.image = rMessage(r, rImageSpec, m.image); break;
      case 16: m.verbose = r.bool(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ImageStatusRequest: Codec<ImageStatusRequest, ImageStatusRequestInit> = /* @__PURE__ */ codec("ImageStatusRequest", wImageStatusRequest, rImageStatusRequest);

export interface ImageStatusResponse {
  /** Absent when the image is not here. */
  image?: Image | undefined;
  info: Record<string, string>;
}
export interface ImageStatusResponseInit {
  readonly image?: ImageInit | undefined;
  readonly info?: Readonly<Record<string, string>> | undefined;
}
function wImageStatusResponse(w: Writer, m: ImageStatusResponseInit): void {
  wMessage(w, 10, wImage, m.image);
  wStringMap(w, 18, m.info);
}
function rImageStatusResponse(r: Reader, end: number, m: ImageStatusResponse = { image: undefined, info: emptyMap() }): ImageStatusResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.image = rMessage(r, rImage, m.image); break;
      case 18: rStringMapItem(r, m.info); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ImageStatusResponse: Codec<ImageStatusResponse, ImageStatusResponseInit> = /* @__PURE__ */ codec("ImageStatusResponse", wImageStatusResponse, rImageStatusResponse);

export interface PullImageRequest {
  image?: ImageSpec | undefined;
  auth?: AuthConfig | undefined;
  /** The pod that the image is for. */
  sandboxConfig?: PodSandboxConfig | undefined;
}
export interface PullImageRequestInit {
  readonly image?: ImageSpecInit | undefined;
  readonly auth?: AuthConfigInit | undefined;
  readonly sandboxConfig?: PodSandboxConfigInit | undefined;
}
function wPullImageRequest(w: Writer, m: PullImageRequestInit): void {
  wMessage(w, 10, wImageSpec, m.image);
  wMessage(w, 18, wAuthConfig, m.auth);
  wMessage(w, 26, wPodSandboxConfig, m.sandboxConfig);
}
function rPullImageRequest(r: Reader, end: number, m: PullImageRequest = { image: undefined, auth: undefined, sandboxConfig: undefined }): PullImageRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.image = rMessage(r, rImageSpec, m.image); break;
      case 18: m.auth = rMessage(r, rAuthConfig, m.auth); break;
      case 26: m.sandboxConfig = rMessage(r, rPodSandboxConfig, m.sandboxConfig); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PullImageRequest: Codec<PullImageRequest, PullImageRequestInit> = /* @__PURE__ */ codec("PullImageRequest", wPullImageRequest, rPullImageRequest);

export interface PullImageResponse {
  /** Names exactly what was pulled; usable wherever an image is named. */
  imageRef: string;
}
export interface PullImageResponseInit {
  readonly imageRef?: string | undefined;
}
function wPullImageResponse(w: Writer, m: PullImageResponseInit): void {
  wString(w, 10, m.imageRef);
}
function rPullImageResponse(r: Reader, end: number, m: PullImageResponse = { imageRef: "" }): PullImageResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.imageRef = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PullImageResponse: Codec<PullImageResponse, PullImageResponseInit> = /* @__PURE__ */ codec("PullImageResponse", wPullImageResponse, rPullImageResponse);

/** Credentials for one pull; forgotten after it. */
export interface AuthConfig {
  username: string;
  password: string;
  /** Base64 of user:password. */
  auth: string;
  /** The registry they are for; sent to no other. */
  serverAddress: string;
  /** An OAuth2 refresh token. */
  identityToken: string;
  /** A bearer token, sent as it is. */
  registryToken: string;
}
export interface AuthConfigInit {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly auth?: string | undefined;
  readonly serverAddress?: string | undefined;
  readonly identityToken?: string | undefined;
  readonly registryToken?: string | undefined;
}
function wAuthConfig(w: Writer, m: AuthConfigInit): void {
  wString(w, 10, m.username);
  wString(w, 18, m.password);
  wString(w, 26, m.auth);
  wString(w, 34, m.serverAddress);
  wString(w, 42, m.identityToken);
  wString(w, 50, m.registryToken);
}
function rAuthConfig(r: Reader, end: number, m: AuthConfig = { username: "", password: "", auth: "", serverAddress: "", identityToken: "", registryToken: "" }): AuthConfig {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.username = rString(r); break;
      case 18: m.password = rString(r); break;
      case 26: m.auth = rString(r); break;
      case 34: m.serverAddress = rString(r); break;
      case 42: m.identityToken = rString(r); break;
      case 50: m.registryToken = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const AuthConfig: Codec<AuthConfig, AuthConfigInit> = /* @__PURE__ */ codec("AuthConfig", wAuthConfig, rAuthConfig);

export interface RemoveImageRequest {
  image?: ImageSpec | undefined;
}
export interface RemoveImageRequestInit {
  readonly image?: ImageSpecInit | undefined;
}
function wRemoveImageRequest(w: Writer, m: RemoveImageRequestInit): void {
  wMessage(w, 10, wImageSpec, m.image);
}
function rRemoveImageRequest(r: Reader, end: number, m: RemoveImageRequest = { image: undefined }): RemoveImageRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.image = rMessage(r, rImageSpec, m.image); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const RemoveImageRequest: Codec<RemoveImageRequest, RemoveImageRequestInit> = /* @__PURE__ */ codec("RemoveImageRequest", wRemoveImageRequest, rRemoveImageRequest);

export type RemoveImageResponse = Record<never, never>;
export type RemoveImageResponseInit = Record<never, never>;
function wRemoveImageResponse(_w: Writer, _m: RemoveImageResponseInit): void {
}
function rRemoveImageResponse(r: Reader, end: number, m: RemoveImageResponse = {}): RemoveImageResponse {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const RemoveImageResponse: Codec<RemoveImageResponse, RemoveImageResponseInit> = /* @__PURE__ */ codec("RemoveImageResponse", wRemoveImageResponse, rRemoveImageResponse);

export type ImageFsInfoRequest = Record<never, never>;
export type ImageFsInfoRequestInit = Record<never, never>;
function wImageFsInfoRequest(_w: Writer, _m: ImageFsInfoRequestInit): void {
}
function rImageFsInfoRequest(r: Reader, end: number, m: ImageFsInfoRequest = {}): ImageFsInfoRequest {
  while (r.pos < end) {
    const tag = r.tag();
    skip(r, tag);
  }
  return ended(r, end, m);
}
export const ImageFsInfoRequest: Codec<ImageFsInfoRequest, ImageFsInfoRequestInit> = /* @__PURE__ */ codec("ImageFsInfoRequest", wImageFsInfoRequest, rImageFsInfoRequest);

export interface ImageFsInfoResponse {
  imageFilesystems: FilesystemUsage[];
  /** Where writable layers live. */
  containerFilesystems: FilesystemUsage[];
}
export interface ImageFsInfoResponseInit {
  readonly imageFilesystems?: readonly FilesystemUsageInit[] | undefined;
  readonly containerFilesystems?: readonly FilesystemUsageInit[] | undefined;
}
function wImageFsInfoResponse(w: Writer, m: ImageFsInfoResponseInit): void {
  wMessages(w, 10, wFilesystemUsage, m.imageFilesystems);
  wMessages(w, 18, wFilesystemUsage, m.containerFilesystems);
}
function rImageFsInfoResponse(r: Reader, end: number, m: ImageFsInfoResponse = { imageFilesystems: [], containerFilesystems: [] }): ImageFsInfoResponse {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: rMessagesItem(r, rFilesystemUsage, m.imageFilesystems); break;
      case 18: rMessagesItem(r, rFilesystemUsage, m.containerFilesystems); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const ImageFsInfoResponse: Codec<ImageFsInfoResponse, ImageFsInfoResponseInit> = /* @__PURE__ */ codec("ImageFsInfoResponse", wImageFsInfoResponse, rImageFsInfoResponse);

export interface WindowsPodSandboxStats {
  cpu?: WindowsCpuUsage | undefined;
  memory?: WindowsMemoryUsage | undefined;
  network?: WindowsNetworkUsage | undefined;
  process?: WindowsProcessUsage | undefined;
  containers: WindowsContainerStats[];
}
export interface WindowsPodSandboxStatsInit {
  readonly cpu?: WindowsCpuUsageInit | undefined;
  readonly memory?: WindowsMemoryUsageInit | undefined;
  readonly network?: WindowsNetworkUsageInit | undefined;
  readonly process?: WindowsProcessUsageInit | undefined;
  readonly containers?: readonly WindowsContainerStatsInit[] | undefined;
}
function wWindowsPodSandboxStats(w: Writer, m: WindowsPodSandboxStatsInit): void {
  wMessage(w, 10, wWindowsCpuUsage, m.cpu);
  wMessage(w, 18, wWindowsMemoryUsage, m.memory);
  wMessage(w, 26, wWindowsNetworkUsage, m.network);
  wMessage(w, 34, wWindowsProcessUsage, m.process);
  wMessages(w, 42, wWindowsContainerStats, m.containers);
}
function rWindowsPodSandboxStats(r: Reader, end: number, m: WindowsPodSandboxStats = { cpu: undefined, memory: undefined, network: undefined, process: undefined, containers: [] }): WindowsPodSandboxStats {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.cpu = rMessage(r, rWindowsCpuUsage, m.cpu); break;
      case 18: m.memory = rMessage(r, rWindowsMemoryUsage, m.memory); break;
      case 26: m.network = rMessage(r, rWindowsNetworkUsage, m.network); break;
      case 34: m.process = rMessage(r, rWindowsProcessUsage, m.process); break;
      case 42: rMessagesItem(r, rWindowsContainerStats, m.containers); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const WindowsPodSandboxStats: Codec<WindowsPodSandboxStats, WindowsPodSandboxStatsInit> = /* @__PURE__ */ codec("WindowsPodSandboxStats", wWindowsPodSandboxStats, rWindowsPodSandboxStats);

export interface WindowsNetworkUsage {
  timestamp: bigint;
  defaultInterface?: WindowsNetworkInterfaceUsage | undefined;
  interfaces: WindowsNetworkInterfaceUsage[];
}
export interface WindowsNetworkUsageInit {
  readonly timestamp?: bigint | undefined;
  readonly defaultInterface?: WindowsNetworkInterfaceUsageInit | undefined;
  readonly interfaces?: readonly WindowsNetworkInterfaceUsageInit[] | undefined;
}
function wWindowsNetworkUsage(w: Writer, m: WindowsNetworkUsageInit): void {
  wInt64(w, 8, m.timestamp);
  wMessage(w, 18, wWindowsNetworkInterfaceUsage, m.defaultInterface);
  wMessages(w, 26, wWindowsNetworkInterfaceUsage, m.interfaces);
}
function rWindowsNetworkUsage(r: Reader, end: number, m: WindowsNetworkUsage = { timestamp: 0n, defaultInterface: undefined, interfaces: [] }): WindowsNetworkUsage {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.timestamp = rInt64(r); break;
      case 18: m.defaultInterface = rMessage(r, rWindowsNetworkInterfaceUsage, m.defaultInterface); break;
      case 26: rMessagesItem(r, rWindowsNetworkInterfaceUsage, m.interfaces); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const WindowsNetworkUsage: Codec<WindowsNetworkUsage, WindowsNetworkUsageInit> = /* @__PURE__ */ codec("WindowsNetworkUsage", wWindowsNetworkUsage, rWindowsNetworkUsage);

export interface WindowsNetworkInterfaceUsage {
  name: string;
  rxBytes?: UInt64Value | undefined;
  rxPacketsDropped?: UInt64Value | undefined;
  txBytes?: UInt64Value | undefined;
  txPacketsDropped?: UInt64Value | undefined;
}
export interface WindowsNetworkInterfaceUsageInit {
  readonly name?: string | undefined;
  readonly rxBytes?: UInt64ValueInit | undefined;
  readonly rxPacketsDropped?: UInt64ValueInit | undefined;
  readonly txBytes?: UInt64ValueInit | undefined;
  readonly txPacketsDropped?: UInt64ValueInit | undefined;
}
function wWindowsNetworkInterfaceUsage(w: Writer, m: WindowsNetworkInterfaceUsageInit): void {
  wString(w, 10, m.name);
  wMessage(w, 18, wUInt64Value, m.rxBytes);
  wMessage(w, 26, wUInt64Value, m.rxPacketsDropped);
  wMessage(w, 34, wUInt64Value, m.txBytes);
  wMessage(w, 42, wUInt64Value, m.txPacketsDropped);
}
function rWindowsNetworkInterfaceUsage(r: Reader, end: number, m: WindowsNetworkInterfaceUsage = { name: "", rxBytes: undefined, rxPacketsDropped: undefined, txBytes: undefined, txPacketsDropped: undefined }): WindowsNetworkInterfaceUsage {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.name = rString(r); break;
      case 18: m.rxBytes = rMessage(r, rUInt64Value, m.rxBytes); break;
      case 26: m.rxPacketsDropped = rMessage(r, rUInt64Value, m.rxPacketsDropped); break;
      case 34: m.txBytes = rMessage(r, rUInt64Value, m.txBytes); break;
      case 42: m.txPacketsDropped = rMessage(r, rUInt64Value, m.txPacketsDropped); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const WindowsNetworkInterfaceUsage: Codec<WindowsNetworkInterfaceUsage, WindowsNetworkInterfaceUsageInit> = /* @__PURE__ */ codec("WindowsNetworkInterfaceUsage", wWindowsNetworkInterfaceUsage, rWindowsNetworkInterfaceUsage);

export interface WindowsProcessUsage {
  timestamp: bigint;
  processCount?: UInt64Value | undefined;
}
export interface WindowsProcessUsageInit {
  readonly timestamp?: bigint | undefined;
  readonly processCount?: UInt64ValueInit | undefined;
}
function wWindowsProcessUsage(w: Writer, m: WindowsProcessUsageInit): void {
  wInt64(w, 8, m.timestamp);
  wMessage(w, 18, wUInt64Value, m.processCount);
}
function rWindowsProcessUsage(r: Reader, end: number, m: WindowsProcessUsage = { timestamp: 0n, processCount: undefined }): WindowsProcessUsage {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.timestamp = rInt64(r); break;
      case 18: m.processCount = rMessage(r, rUInt64Value, m.processCount); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const WindowsProcessUsage: Codec<WindowsProcessUsage, WindowsProcessUsageInit> = /* @__PURE__ */ codec("WindowsProcessUsage", wWindowsProcessUsage, rWindowsProcessUsage);

export interface WindowsNamespaceOption {
  network: NamespaceMode;
}
export interface WindowsNamespaceOptionInit {
  readonly network?: NamespaceMode | undefined;
}
function wWindowsNamespaceOption(w: Writer, m: WindowsNamespaceOptionInit): void {
  wInt32(w, 8, m.network);
}
function rWindowsNamespaceOption(r: Reader, end: number, m: WindowsNamespaceOption = { network: 0 }): WindowsNamespaceOption {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.network = r.int32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const WindowsNamespaceOption: Codec<WindowsNamespaceOption, WindowsNamespaceOptionInit> = /* @__PURE__ */ codec("WindowsNamespaceOption", wWindowsNamespaceOption, rWindowsNamespaceOption);

export interface WindowsSandboxSecurityContext {
  runAsUsername: string;
  credentialSpec: string;
  hostProcess: boolean;
  namespaceOptions?: WindowsNamespaceOption | undefined;
}
export interface WindowsSandboxSecurityContextInit {
  readonly runAsUsername?: string | undefined;
  readonly credentialSpec?: string | undefined;
  readonly hostProcess?: boolean | undefined;
  readonly namespaceOptions?: WindowsNamespaceOptionInit | undefined;
}
function wWindowsSandboxSecurityContext(w: Writer, m: WindowsSandboxSecurityContextInit): void {
  wString(w, 10, m.runAsUsername);
  wString(w, 18, m.credentialSpec);
  wBool(w, 24, m.hostProcess);
  wMessage(w, 34, wWindowsNamespaceOption, m.namespaceOptions);
}
function rWindowsSandboxSecurityContext(r: Reader, end: number, m: WindowsSandboxSecurityContext = { runAsUsername: "", credentialSpec: "", hostProcess: false, namespaceOptions: undefined }): WindowsSandboxSecurityContext {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.runAsUsername = rString(r); break;
      case 18: m.credentialSpec = rString(r); break;
      case 24: m.hostProcess = r.bool(); break;
      case 34: m.namespaceOptions = rMessage(r, rWindowsNamespaceOption, m.namespaceOptions); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const WindowsSandboxSecurityContext: Codec<WindowsSandboxSecurityContext, WindowsSandboxSecurityContextInit> = /* @__PURE__ */ codec("WindowsSandboxSecurityContext", wWindowsSandboxSecurityContext, rWindowsSandboxSecurityContext);

export interface WindowsPodSandboxConfig {
  securityContext?: WindowsSandboxSecurityContext | undefined;
}
export interface WindowsPodSandboxConfigInit {
  readonly securityContext?: WindowsSandboxSecurityContextInit | undefined;
}
function wWindowsPodSandboxConfig(w: Writer, m: WindowsPodSandboxConfigInit): void {
  wMessage(w, 10, wWindowsSandboxSecurityContext, m.securityContext);
}
function rWindowsPodSandboxConfig(r: Reader, end: number, m: WindowsPodSandboxConfig = { securityContext: undefined }): WindowsPodSandboxConfig {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.securityContext = rMessage(r, rWindowsSandboxSecurityContext, m.securityContext); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const WindowsPodSandboxConfig: Codec<WindowsPodSandboxConfig, WindowsPodSandboxConfigInit> = /* @__PURE__ */ codec("WindowsPodSandboxConfig", wWindowsPodSandboxConfig, rWindowsPodSandboxConfig);

export interface WindowsContainerSecurityContext {
  runAsUsername: string;
  credentialSpec: string;
  hostProcess: boolean;
}
export interface WindowsContainerSecurityContextInit {
  readonly runAsUsername?: string | undefined;
  readonly credentialSpec?: string | undefined;
  readonly hostProcess?: boolean | undefined;
}
function wWindowsContainerSecurityContext(w: Writer, m: WindowsContainerSecurityContextInit): void {
  wString(w, 10, m.runAsUsername);
  wString(w, 18, m.credentialSpec);
  wBool(w, 24, m.hostProcess);
}
function rWindowsContainerSecurityContext(r: Reader, end: number, m: WindowsContainerSecurityContext = { runAsUsername: "", credentialSpec: "", hostProcess: false }): WindowsContainerSecurityContext {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.runAsUsername = rString(r); break;
      case 18: m.credentialSpec = rString(r); break;
      case 24: m.hostProcess = r.bool(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const WindowsContainerSecurityContext: Codec<WindowsContainerSecurityContext, WindowsContainerSecurityContextInit> = /* @__PURE__ */ codec("WindowsContainerSecurityContext", wWindowsContainerSecurityContext, rWindowsContainerSecurityContext);

export interface WindowsContainerConfig {
  resources?: WindowsContainerResources | undefined;
  securityContext?: WindowsContainerSecurityContext | undefined;
}
export interface WindowsContainerConfigInit {
  readonly resources?: WindowsContainerResourcesInit | undefined;
  readonly securityContext?: WindowsContainerSecurityContextInit | undefined;
}
function wWindowsContainerConfig(w: Writer, m: WindowsContainerConfigInit): void {
  wMessage(w, 10, wWindowsContainerResources, m.resources);
  wMessage(w, 18, wWindowsContainerSecurityContext, m.securityContext);
}
function rWindowsContainerConfig(r: Reader, end: number, m: WindowsContainerConfig = { resources: undefined, securityContext: undefined }): WindowsContainerConfig {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.resources = rMessage(r, rWindowsContainerResources, m.resources); break;
      case 18: m.securityContext = rMessage(r, rWindowsContainerSecurityContext, m.securityContext); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const WindowsContainerConfig: Codec<WindowsContainerConfig, WindowsContainerConfigInit> = /* @__PURE__ */ codec("WindowsContainerConfig", wWindowsContainerConfig, rWindowsContainerConfig);

export interface WindowsContainerResources {
  cpuShares: bigint;
  cpuCount: bigint;
  cpuMaximum: bigint;
  memoryLimitInBytes: bigint;
  rootfsSizeInBytes: bigint;
  affinityCpus: WindowsCpuGroupAffinity[];
}
export interface WindowsContainerResourcesInit {
  readonly cpuShares?: bigint | undefined;
  readonly cpuCount?: bigint | undefined;
  readonly cpuMaximum?: bigint | undefined;
  readonly memoryLimitInBytes?: bigint | undefined;
  readonly rootfsSizeInBytes?: bigint | undefined;
  readonly affinityCpus?: readonly WindowsCpuGroupAffinityInit[] | undefined;
}
function wWindowsContainerResources(w: Writer, m: WindowsContainerResourcesInit): void {
  wInt64(w, 8, m.cpuShares);
  wInt64(w, 16, m.cpuCount);
  wInt64(w, 24, m.cpuMaximum);
  wInt64(w, 32, m.memoryLimitInBytes);
  wInt64(w, 40, m.rootfsSizeInBytes);
  wMessages(w, 50, wWindowsCpuGroupAffinity, m.affinityCpus);
}
function rWindowsContainerResources(r: Reader, end: number, m: WindowsContainerResources = { cpuShares: 0n, cpuCount: 0n, cpuMaximum: 0n, memoryLimitInBytes: 0n, rootfsSizeInBytes: 0n, affinityCpus: [] }): WindowsContainerResources {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.cpuShares = rInt64(r); break;
      case 16: m.cpuCount = rInt64(r); break;
      case 24: m.cpuMaximum = rInt64(r); break;
      case 32: m.memoryLimitInBytes = rInt64(r); break;
      case 40: m.rootfsSizeInBytes = rInt64(r); break;
      case 50: rMessagesItem(r, rWindowsCpuGroupAffinity, m.affinityCpus); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const WindowsContainerResources: Codec<WindowsContainerResources, WindowsContainerResourcesInit> = /* @__PURE__ */ codec("WindowsContainerResources", wWindowsContainerResources, rWindowsContainerResources);

export interface WindowsCpuGroupAffinity {
  cpuMask: bigint;
  cpuGroup: number;
}
export interface WindowsCpuGroupAffinityInit {
  readonly cpuMask?: bigint | undefined;
  readonly cpuGroup?: number | undefined;
}
function wWindowsCpuGroupAffinity(w: Writer, m: WindowsCpuGroupAffinityInit): void {
  wUint64(w, 8, m.cpuMask);
  wUint32(w, 16, m.cpuGroup);
}
function rWindowsCpuGroupAffinity(r: Reader, end: number, m: WindowsCpuGroupAffinity = { cpuMask: 0n, cpuGroup: 0 }): WindowsCpuGroupAffinity {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.cpuMask = rUint64(r); break;
      case 16: m.cpuGroup = r.uint32(); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const WindowsCpuGroupAffinity: Codec<WindowsCpuGroupAffinity, WindowsCpuGroupAffinityInit> = /* @__PURE__ */ codec("WindowsCpuGroupAffinity", wWindowsCpuGroupAffinity, rWindowsCpuGroupAffinity);

export interface WindowsFilesystemUsage {
  timestamp: bigint;
  fsId?: FilesystemIdentifier | undefined;
  usedBytes?: UInt64Value | undefined;
}
export interface WindowsFilesystemUsageInit {
  readonly timestamp?: bigint | undefined;
  readonly fsId?: FilesystemIdentifierInit | undefined;
  readonly usedBytes?: UInt64ValueInit | undefined;
}
function wWindowsFilesystemUsage(w: Writer, m: WindowsFilesystemUsageInit): void {
  wInt64(w, 8, m.timestamp);
  wMessage(w, 18, wFilesystemIdentifier, m.fsId);
  wMessage(w, 26, wUInt64Value, m.usedBytes);
}
function rWindowsFilesystemUsage(r: Reader, end: number, m: WindowsFilesystemUsage = { timestamp: 0n, fsId: undefined, usedBytes: undefined }): WindowsFilesystemUsage {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.timestamp = rInt64(r); break;
      case 18: m.fsId = rMessage(r, rFilesystemIdentifier, m.fsId); break;
      case 26: m.usedBytes = rMessage(r, rUInt64Value, m.usedBytes); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const WindowsFilesystemUsage: Codec<WindowsFilesystemUsage, WindowsFilesystemUsageInit> = /* @__PURE__ */ codec("WindowsFilesystemUsage", wWindowsFilesystemUsage, rWindowsFilesystemUsage);

export interface WindowsContainerStats {
  attributes?: ContainerAttributes | undefined;
  cpu?: WindowsCpuUsage | undefined;
  memory?: WindowsMemoryUsage | undefined;
  writableLayer?: WindowsFilesystemUsage | undefined;
}
export interface WindowsContainerStatsInit {
  readonly attributes?: ContainerAttributesInit | undefined;
  readonly cpu?: WindowsCpuUsageInit | undefined;
  readonly memory?: WindowsMemoryUsageInit | undefined;
  readonly writableLayer?: WindowsFilesystemUsageInit | undefined;
}
function wWindowsContainerStats(w: Writer, m: WindowsContainerStatsInit): void {
  wMessage(w, 10, wContainerAttributes, m.attributes);
  wMessage(w, 18, wWindowsCpuUsage, m.cpu);
  wMessage(w, 26, wWindowsMemoryUsage, m.memory);
  wMessage(w, 34, wWindowsFilesystemUsage, m.writableLayer);
}
function rWindowsContainerStats(r: Reader, end: number, m: WindowsContainerStats = { attributes: undefined, cpu: undefined, memory: undefined, writableLayer: undefined }): WindowsContainerStats {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.attributes = rMessage(r, rContainerAttributes, m.attributes); break;
      case 18: m.cpu = rMessage(r, rWindowsCpuUsage, m.cpu); break;
      case 26: m.memory = rMessage(r, rWindowsMemoryUsage, m.memory); break;
      case 34: m.writableLayer = rMessage(r, rWindowsFilesystemUsage, m.writableLayer); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const WindowsContainerStats: Codec<WindowsContainerStats, WindowsContainerStatsInit> = /* @__PURE__ */ codec("WindowsContainerStats", wWindowsContainerStats, rWindowsContainerStats);

export interface WindowsCpuUsage {
  timestamp: bigint;
  usageCoreNanoSeconds?: UInt64Value | undefined;
  usageNanoCores?: UInt64Value | undefined;
}
export interface WindowsCpuUsageInit {
  readonly timestamp?: bigint | undefined;
  readonly usageCoreNanoSeconds?: UInt64ValueInit | undefined;
  readonly usageNanoCores?: UInt64ValueInit | undefined;
}
function wWindowsCpuUsage(w: Writer, m: WindowsCpuUsageInit): void {
  wInt64(w, 8, m.timestamp);
  wMessage(w, 18, wUInt64Value, m.usageCoreNanoSeconds);
  wMessage(w, 26, wUInt64Value, m.usageNanoCores);
}
function rWindowsCpuUsage(r: Reader, end: number, m: WindowsCpuUsage = { timestamp: 0n, usageCoreNanoSeconds: undefined, usageNanoCores: undefined }): WindowsCpuUsage {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.timestamp = rInt64(r); break;
      case 18: m.usageCoreNanoSeconds = rMessage(r, rUInt64Value, m.usageCoreNanoSeconds); break;
      case 26: m.usageNanoCores = rMessage(r, rUInt64Value, m.usageNanoCores); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const WindowsCpuUsage: Codec<WindowsCpuUsage, WindowsCpuUsageInit> = /* @__PURE__ */ codec("WindowsCpuUsage", wWindowsCpuUsage, rWindowsCpuUsage);

export interface WindowsMemoryUsage {
  timestamp: bigint;
  workingSetBytes?: UInt64Value | undefined;
  availableBytes?: UInt64Value | undefined;
  pageFaults?: UInt64Value | undefined;
  commitMemoryBytes?: UInt64Value | undefined;
}
export interface WindowsMemoryUsageInit {
  readonly timestamp?: bigint | undefined;
  readonly workingSetBytes?: UInt64ValueInit | undefined;
  readonly availableBytes?: UInt64ValueInit | undefined;
  readonly pageFaults?: UInt64ValueInit | undefined;
  readonly commitMemoryBytes?: UInt64ValueInit | undefined;
}
function wWindowsMemoryUsage(w: Writer, m: WindowsMemoryUsageInit): void {
  wInt64(w, 8, m.timestamp);
  wMessage(w, 18, wUInt64Value, m.workingSetBytes);
  wMessage(w, 26, wUInt64Value, m.availableBytes);
  wMessage(w, 34, wUInt64Value, m.pageFaults);
  wMessage(w, 42, wUInt64Value, m.commitMemoryBytes);
}
function rWindowsMemoryUsage(r: Reader, end: number, m: WindowsMemoryUsage = { timestamp: 0n, workingSetBytes: undefined, availableBytes: undefined, pageFaults: undefined, commitMemoryBytes: undefined }): WindowsMemoryUsage {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 8: m.timestamp = rInt64(r); break;
      case 18: m.workingSetBytes = rMessage(r, rUInt64Value, m.workingSetBytes); break;
      case 26: m.availableBytes = rMessage(r, rUInt64Value, m.availableBytes); break;
      case 34: m.pageFaults = rMessage(r, rUInt64Value, m.pageFaults); break;
      case 42: m.commitMemoryBytes = rMessage(r, rUInt64Value, m.commitMemoryBytes); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const WindowsMemoryUsage: Codec<WindowsMemoryUsage, WindowsMemoryUsageInit> = /* @__PURE__ */ codec("WindowsMemoryUsage", wWindowsMemoryUsage, rWindowsMemoryUsage);

/** Sandboxes (pods) and the containers in them. Stop and Remove of what is gone succeed; unknown ids elsewhere are NOT_FOUND. */
export const runtimeService = {
  /** What speaks here. A kubelet calls it first and expects version "0.1.0". */
  version: { path: "/runtime.v1.RuntimeService/Version", serverStreaming: false, request: VersionRequest, response: VersionResponse },
  /** Makes a pod's namespaces, cgroup and network, and returns only when they are ready. */
  runPodSandbox: { path: "/runtime.v1.RuntimeService/RunPodSandbox", serverStreaming: false, request: RunPodSandboxRequest, response: RunPodSandboxResponse },
  /** Kills what runs in the pod and gives its network back. May be called again. */
  stopPodSandbox: { path: "/runtime.v1.RuntimeService/StopPodSandbox", serverStreaming: false, request: StopPodSandboxRequest, response: StopPodSandboxResponse },
  /** Removes the pod and its containers, running or not. May be called again. */
  removePodSandbox: { path: "/runtime.v1.RuntimeService/RemovePodSandbox", serverStreaming: false, request: RemovePodSandboxRequest, response: RemovePodSandboxResponse },
  podSandboxStatus: { path: "/runtime.v1.RuntimeService/PodSandboxStatus", serverStreaming: false, request: PodSandboxStatusRequest, response: PodSandboxStatusResponse },
  listPodSandbox: { path: "/runtime.v1.RuntimeService/ListPodSandbox", serverStreaming: false, request: ListPodSandboxRequest, response: ListPodSandboxResponse },
  /** ListPodSandbox in pieces, for lists larger than one message. Likewise for every Stream* method. */
  streamPodSandboxes: { path: "/runtime.v1.RuntimeService/StreamPodSandboxes", serverStreaming: true, request: StreamPodSandboxesRequest, response: StreamPodSandboxesResponse },
  /** Prepares a container in a ready sandbox: root filesystem, mounts, process waiting to start. */
  createContainer: { path: "/runtime.v1.RuntimeService/CreateContainer", serverStreaming: false, request: CreateContainerRequest, response: CreateContainerResponse },
  startContainer: { path: "/runtime.v1.RuntimeService/StartContainer", serverStreaming: false, request: StartContainerRequest, response: StartContainerResponse },
  /** Sends the stop signal, waits for the grace period, then kills. May be called again. */
  stopContainer: { path: "/runtime.v1.RuntimeService/StopContainer", serverStreaming: false, request: StopContainerRequest, response: StopContainerResponse },
  /** Removes a container; a running one is killed first. May be called again. */
  removeContainer: { path: "/runtime.v1.RuntimeService/RemoveContainer", serverStreaming: false, request: RemoveContainerRequest, response: RemoveContainerResponse },
  listContainers: { path: "/runtime.v1.RuntimeService/ListContainers", serverStreaming: false, request: ListContainersRequest, response: ListContainersResponse },
  streamContainers: { path: "/runtime.v1.RuntimeService/StreamContainers", serverStreaming: true, request: StreamContainersRequest, response: StreamContainersResponse },
  containerStatus: { path: "/runtime.v1.RuntimeService/ContainerStatus", serverStreaming: false, request: ContainerStatusRequest, response: ContainerStatusResponse },
  /** Changes the cgroup limits of a container without restarting it. */
  updateContainerResources: { path: "/runtime.v1.RuntimeService/UpdateContainerResources", serverStreaming: false, request: UpdateContainerResourcesRequest, response: UpdateContainerResourcesResponse },
  /** Opens the log file anew after the kubelet has rotated it. */
  reopenContainerLog: { path: "/runtime.v1.RuntimeService/ReopenContainerLog", serverStreaming: false, request: ReopenContainerLogRequest, response: ReopenContainerLogResponse },
  /** Runs a command in a container and returns all of its output. */
  execSync: { path: "/runtime.v1.RuntimeService/ExecSync", serverStreaming: false, request: ExecSyncRequest, response: ExecSyncResponse },
  /** Exec, Attach and PortForward answer with a one-use URL at the streaming server. */
  exec: { path: "/runtime.v1.RuntimeService/Exec", serverStreaming: false, request: ExecRequest, response: ExecResponse },
  attach: { path: "/runtime.v1.RuntimeService/Attach", serverStreaming: false, request: AttachRequest, response: AttachResponse },
  portForward: { path: "/runtime.v1.RuntimeService/PortForward", serverStreaming: false, request: PortForwardRequest, response: PortForwardResponse },
  /** Usage figures, of containers and of whole pods. */
  containerStats: { path: "/runtime.v1.RuntimeService/ContainerStats", serverStreaming: false, request: ContainerStatsRequest, response: ContainerStatsResponse },
  listContainerStats: { path: "/runtime.v1.RuntimeService/ListContainerStats", serverStreaming: false, request: ListContainerStatsRequest, response: ListContainerStatsResponse },
  streamContainerStats: { path: "/runtime.v1.RuntimeService/StreamContainerStats", serverStreaming: true, request: StreamContainerStatsRequest, response: StreamContainerStatsResponse },
  podSandboxStats: { path: "/runtime.v1.RuntimeService/PodSandboxStats", serverStreaming: false, request: PodSandboxStatsRequest, response: PodSandboxStatsResponse },
  listPodSandboxStats: { path: "/runtime.v1.RuntimeService/ListPodSandboxStats", serverStreaming: false, request: ListPodSandboxStatsRequest, response: ListPodSandboxStatsResponse },
  streamPodSandboxStats: { path: "/runtime.v1.RuntimeService/StreamPodSandboxStats", serverStreaming: true, request: StreamPodSandboxStatsRequest, response: StreamPodSandboxStatsResponse },
  /** Takes the node's pod CIDR over into the embedded network. */
  updateRuntimeConfig: { path: "/runtime.v1.RuntimeService/UpdateRuntimeConfig", serverStreaming: false, request: UpdateRuntimeConfigRequest, response: UpdateRuntimeConfigResponse },
  /** Whether pods can be run and have a network, with the reason when not. */
  status: { path: "/runtime.v1.RuntimeService/Status", serverStreaming: false, request: StatusRequest, response: StatusResponse },
  /** Writes the running state of a container, or of a whole pod, to an archive, and brings a pod back. */
  checkpointContainer: { path: "/runtime.v1.RuntimeService/CheckpointContainer", serverStreaming: false, request: CheckpointContainerRequest, response: CheckpointContainerResponse },
  checkpointPod: { path: "/runtime.v1.RuntimeService/CheckpointPod", serverStreaming: false, request: CheckpointPodRequest, response: CheckpointPodResponse },
  restorePod: { path: "/runtime.v1.RuntimeService/RestorePod", serverStreaming: false, request: RestorePodRequest, response: RestorePodResponse },
  /** Tells each change of a container as it happens, for as long as the client listens. */
  getContainerEvents: { path: "/runtime.v1.RuntimeService/GetContainerEvents", serverStreaming: true, request: GetEventsRequest, response: ContainerEventResponse },
  /** The names, help texts and labels of the metrics, and their values. */
  listMetricDescriptors: { path: "/runtime.v1.RuntimeService/ListMetricDescriptors", serverStreaming: false, request: ListMetricDescriptorsRequest, response: ListMetricDescriptorsResponse },
  listPodSandboxMetrics: { path: "/runtime.v1.RuntimeService/ListPodSandboxMetrics", serverStreaming: false, request: ListPodSandboxMetricsRequest, response: ListPodSandboxMetricsResponse },
  streamPodSandboxMetrics: { path: "/runtime.v1.RuntimeService/StreamPodSandboxMetrics", serverStreaming: true, request: StreamPodSandboxMetricsRequest, response: StreamPodSandboxMetricsResponse },
  /** What a kubelet must know to agree with us: the cgroup driver. */
  runtimeConfig: { path: "/runtime.v1.RuntimeService/RuntimeConfig", serverStreaming: false, request: RuntimeConfigRequest, response: RuntimeConfigResponse },
  /** Tells the new limits of a whole pod after an in-place resize. */
  updatePodSandboxResources: { path: "/runtime.v1.RuntimeService/UpdatePodSandboxResources", serverStreaming: false, request: UpdatePodSandboxResourcesRequest, response: UpdatePodSandboxResourcesResponse },
} as const;

/** The images of this node. */
export const imageService = {
  listImages: { path: "/runtime.v1.ImageService/ListImages", serverStreaming: false, request: ListImagesRequest, response: ListImagesResponse },
  streamImages: { path: "/runtime.v1.ImageService/StreamImages", serverStreaming: true, request: StreamImagesRequest, response: StreamImagesResponse },
  /** One image; an image that is not here is an answer without `image`, not an error. */
  imageStatus: { path: "/runtime.v1.ImageService/ImageStatus", serverStreaming: false, request: ImageStatusRequest, response: ImageStatusResponse },
  /** Fetches an image; equal pulls share one download. */
  pullImage: { path: "/runtime.v1.ImageService/PullImage", serverStreaming: false, request: PullImageRequest, response: PullImageResponse },
  /** Removes an image and the layers that only it uses. May be called again. */
  removeImage: { path: "/runtime.v1.ImageService/RemoveImage", serverStreaming: false, request: RemoveImageRequest, response: RemoveImageResponse },
  /** How full the filesystems of images and containers are. */
  imageFsInfo: { path: "/runtime.v1.ImageService/ImageFsInfo", serverStreaming: false, request: ImageFsInfoRequest, response: ImageFsInfoResponse },
} as const;
