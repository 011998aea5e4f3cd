import { join } from "node:path";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { Image } from "../image/images.ts";
import type { Log } from "../log/log.ts";
import type { OciResources, OciSpec } from "../oci/runtime-spec.ts";
import type { ResolvedUser, RuntimeFeatures } from "../runtime/handler.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Collection } from "../store/collection.ts";
import type { ContainerConfig, ContainerResources } from "./config.ts";
import type { Container } from "./container.ts";
import type { HostFacts } from "./spec/facts.ts";
import { readRequestFacts } from "./spec/host.ts";
import { planResources } from "./spec/resources.ts";
import { containerSpec } from "./spec/spec.ts";
import { type UserRequest, userRequest } from "./spec/user.ts";

export interface SpecRequest {
  readonly container: Container;
  readonly config: ContainerConfig;
  readonly sandbox: Sandbox;
  readonly image: Image;
  readonly user: ResolvedUser;
}

/** Joins what the pure spec builder needs: the request, the pod's files, the host's facts. */
export class SpecMaker {
  readonly #host: HostFacts;
  readonly #containers: Collection<Container>;
  readonly #allowedAnnotations: (handler: string) => readonly string[];
  readonly #cgroupsPath: (handler: string, cgroup: string) => string;
  readonly #featuresOf: (handler: string, signal: AbortSignal) => Promise<RuntimeFeatures | undefined>;
  readonly #log: Log;

  constructor(deps: {
    host: HostFacts;
    containers: Collection<Container>;
    /** Annotation names that a handler may see, by its configuration. */
    allowedAnnotations: (handler: string) => readonly string[];
    /** A container's cgroup in the words of its handler. */
    cgroupsPath: (handler: string, cgroup: string) => string;
    /** What a handler offers now; undefined: it is not configured any more. */
    featuresOf: (handler: string, signal: AbortSignal) => Promise<RuntimeFeatures | undefined>;
    log: Log;
  }) {
    this.#host = deps.host;
    this.#containers = deps.containers;
    this.#allowedAnnotations = deps.allowedAnnotations;
    this.#cgroupsPath = deps.cgroupsPath;
    this.#featuresOf = deps.featuresOf;
    this.#log = deps.log;
  }

  /** What `prepare` looks up in the root filesystem. @throws RuntimeError `invalid-argument`. */
  userOf(config: ContainerConfig, image: Image): UserRequest {
    return userRequest(config.security, image.config.user);
  }

  /** The container's config.json. @throws RuntimeError naming the field or path that can't be had. */
  async make(request: SpecRequest, signal: AbortSignal): Promise<OciSpec> {
    const { container, config, sandbox, image, user } = request;
    await this.#requireFeatures(config, sandbox.handler, signal);
    const file = (name: string) => join(sandbox.folder, name);
    const { spec, warnings } = containerSpec({
      id: container.id,
      podId: sandbox.id,
      pod: sandbox.config,
      container: config,
      image: image.config,
      user,
      files: { hosts: file("hosts"), hostname: file("hostname"), resolvConf: file("resolv.conf") },
      cgroupsPath: this.#cgroupsPath(sandbox.handler, container.cgroup),
      targetPidNamespace: this.#pidNamespaceOf(config, sandbox.id),
      allowedAnnotations: this.#allowedAnnotations(sandbox.handler),
      host: this.#host,
      facts: await readRequestFacts(config, signal),
    });
    for (const warning of warnings) this.#log.warn({ container: container.id }, warning);
    return spec;
  }

  /** A handler that knows no "rro" mounts the volume and leaves what is below it writable: nobody would notice. */
  async #requireFeatures(config: ContainerConfig, handler: string, signal: AbortSignal): Promise<void> {
    const asked = config.mounts.find(({ recursiveReadonly }) => recursiveReadonly);
    if (asked === undefined || (await this.#featuresOf(handler, signal))?.recursiveReadOnlyMounts) return;
    throw new RuntimeError(
      "failed-precondition",
      `runtime handler ${JSON.stringify(handler)} has no recursive read-only mounts: "${asked.containerPath}" can't be one`,
    );
  }

  /** The limits of an update, as the runtime takes them. */
  limits(change: ContainerResources): OciResources {
    const { resources, warnings } = planResources(change, this.#host);
    for (const warning of warnings) this.#log.warn(warning);
    // A limit below what is in use must not end the container: cgroup v2 would, v1 refuses it anyway.
    return resources.memory === undefined
      ? resources
      : { ...resources, memory: { ...resources.memory, checkBeforeUpdate: true } };
  }

  /** Of the running container of the same pod that `targetId` names. */
  #pidNamespaceOf(config: ContainerConfig, sandboxId: string): string | undefined {
    const { pid, targetId } = config.security.namespaces;
    if (pid !== "target") return undefined;
    const target = this.#containers.find(targetId);
    if (target?.state !== "running" || target.sandboxId !== sandboxId) return undefined;
    if (target.pid === 0) {
      throw new RuntimeError(
        "unimplemented",
        `container ${targetId} has no process of this host: with its runtime handler its PID namespace can't be joined`,
      );
    }
    return `/proc/${target.pid}/ns/pid`;
  }
}
