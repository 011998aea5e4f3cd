import { fromJson, toJson } from "../store/json.ts";
import type { Container } from "./container.ts";
import type { ContainerState } from "./state.ts";

type Detail = Pick<Container, "imageRef" | "logPath" | "stopSignal" | "bundle"> & {
  user?: Container["user"];
};

/** A container as a row of the table `container` (src/store/schema.ts). */
export const containerRows = {
  columns: [
    "id",
    "sandbox_id",
    "state",
    "created_ns",
    "started_ns",
    "finished_ns",
    "exit_code",
    "reason",
    "message",
    "image_id",
    "pid",
    "start_time",
    "cgroup",
    "detail",
    "fingerprint",
    "config",
  ],

  toRow(c: Container): (string | number | bigint)[] {
    const detail: Detail = {
      imageRef: c.imageRef,
      logPath: c.logPath,
      stopSignal: c.stopSignal,
      bundle: c.bundle,
      user: c.user,
    };
    return [
      c.id,
      c.sandboxId,
      c.state,
      c.createdAtNs,
      c.startedAtNs,
      c.finishedAtNs,
      c.exitCode,
      c.reason,
      c.message,
      c.imageId,
      c.pid,
      c.startTime,
      c.cgroup,
      toJson(detail),
      toJson(c.fingerprint),
      toJson(c.config),
    ];
  },

  fromRow(row: Record<string, unknown>): Container {
    const detail = fromJson<Detail>(String(row.detail));
    return {
      id: String(row.id),
      sandboxId: String(row.sandbox_id),
      state: String(row.state) as ContainerState,
      createdAtNs: row.created_ns as bigint,
      startedAtNs: row.started_ns as bigint,
      finishedAtNs: row.finished_ns as bigint,
      exitCode: Number(row.exit_code),
      reason: String(row.reason),
      message: String(row.message),
      imageId: String(row.image_id),
      pid: Number(row.pid),
      startTime: String(row.start_time),
      cgroup: String(row.cgroup),
      ...detail,
      user: detail.user,
      fingerprint: fromJson(String(row.fingerprint)),
      config: fromJson(String(row.config)),
    };
  },
};
