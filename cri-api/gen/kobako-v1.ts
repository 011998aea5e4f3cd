// Made by hack/generate from cri-api/kobako/v1/api.proto. Do not edit.
import { codec, ended, rMessage, rString, rUint64, skip, wInt32, wMessage, wString, wUint64 } from "../wire.ts";
import type { Codec, Reader, Writer } from "../wire.ts";

export const PullLayerState = {
  PULL_LAYER_WAITING: 0,
  /** Verified and unpacked as it comes. */
  PULL_LAYER_DOWNLOADING: 1,
  /** All is here, the last of it is being unpacked. */
  PULL_LAYER_EXTRACTING: 2,
  PULL_LAYER_DONE: 3,
  /** It was here already. */
  PULL_LAYER_EXISTS: 4,
} as const;
/** Any number: values of a newer client are kept. */
export type PullLayerState = number;

export interface PullRequest {
  /** A reference as a person would type it. */
  image: string;
  credentials?: PullCredentials | undefined;
}
export interface PullRequestInit {
  readonly image?: string | undefined;
  readonly credentials?: PullCredentialsInit | undefined;
}
function wPullRequest(w: Writer, m: PullRequestInit): void {
  wString(w, 10, m.image);
  wMessage(w, 18, wPullCredentials, m.credentials);
}
function rPullRequest(r: Reader, end: number, m: PullRequest = { image: "", credentials: undefined }): PullRequest {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.image = rString(r); break;
      case 18: m.credentials = rMessage(r, rPullCredentials, m.credentials); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PullRequest: Codec<PullRequest, PullRequestInit> = /* @__PURE__ */ codec("PullRequest", wPullRequest, rPullRequest);

/** For this pull alone; sent to no registry but the one that `image` names. */
export interface PullCredentials {
  username: string;
  password: string;
}
export interface PullCredentialsInit {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}
function wPullCredentials(w: Writer, m: PullCredentialsInit): void {
  wString(w, 10, m.username);
  wString(w, 18, m.password);
}
function rPullCredentials(r: Reader, end: number, m: PullCredentials = { username: "", password: "" }): PullCredentials {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.username = rString(r); break;
      case 18: m.password = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PullCredentials: Codec<PullCredentials, PullCredentialsInit> = /* @__PURE__ */ codec("PullCredentials", wPullCredentials, rPullCredentials);

/** One of both: a layer's progress, or the end. */
export interface PullEvent {
  layer?: PullLayer | undefined;
  /** What was pulled, as PullImageResponse.image_ref. Empty until the end. */
  imageRef: string;
}
export interface PullEventInit {
  readonly layer?: PullLayerInit | undefined;
  readonly imageRef?: string | undefined;
}
function wPullEvent(w: Writer, m: PullEventInit): void {
  wMessage(w, 10, wPullLayer, m.layer);
  wString(w, 18, m.imageRef);
}
function rPullEvent(r: Reader, end: number, m: PullEvent = { layer: undefined, imageRef: "" }): PullEvent {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.layer = rMessage(r, rPullLayer, m.layer); break;
      case 18: m.imageRef = rString(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PullEvent: Codec<PullEvent, PullEventInit> = /* @__PURE__ */ codec("PullEvent", wPullEvent, rPullEvent);

/** How far one layer is. Sent at most a few times a second for each. */
export interface PullLayer {
  digest: string;
  state: PullLayerState;
  /** Compressed bytes taken in so far, and in all. */
  doneBytes: bigint;
  totalBytes: bigint;
}
export interface PullLayerInit {
  readonly digest?: string | undefined;
  readonly state?: PullLayerState | undefined;
  readonly doneBytes?: bigint | undefined;
  readonly totalBytes?: bigint | undefined;
}
function wPullLayer(w: Writer, m: PullLayerInit): void {
  wString(w, 10, m.digest);
  wInt32(w, 16, m.state);
  wUint64(w, 24, m.doneBytes);
  wUint64(w, 32, m.totalBytes);
}
function rPullLayer(r: Reader, end: number, m: PullLayer = { digest: "", state: 0, doneBytes: 0n, totalBytes: 0n }): PullLayer {
  while (r.pos < end) {
    const tag = r.tag();
    switch (tag) {
      case 10: m.digest = rString(r); break;
      case 16: m.state = r.int32(); break;
      case 24: m.doneBytes = rUint64(r); break;
      case 32: m.totalBytes = rUint64(r); break;
      default: skip(r, tag);
    }
  }
  return ended(r, end, m);
}
export const PullLayer: Codec<PullLayer, PullLayerInit> = /* @__PURE__ */ codec("PullLayer", wPullLayer, rPullLayer);

/** For the kobako command and for whoever wants to see more than the CRI shows. */
export const kobako = {
  /** Pulls as ImageService.PullImage does and tells how far each layer is. The last event carries `image_ref`. Leaving early gives up this caller's share of the pull, not that of others. */
  pull: { path: "/kobako.v1.Kobako/Pull", serverStreaming: true, request: PullRequest, response: PullEvent },
} as const;
