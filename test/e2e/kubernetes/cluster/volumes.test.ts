/** Volumes of all kinds, read and written from inside of pods. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { shell, sleeps, useNamespace } from "../../../support/cluster.ts";
import { waitFor } from "../../../support/wait.ts";

const namespace = useNamespace();
const at = (mountPath: string, more = {}) => ({ volumeMounts: [{ name: "v", mountPath, ...more }] });

describe.concurrent("volumes", () => {
  it("configMap: files of its keys, and an edit shows in the running pod", async () => {
    const { core, name: ns } = namespace();
    const body = (colour: string) => ({ metadata: { name: "settings" }, data: { colour } });
    await core.createNamespacedConfigMap({ namespace: ns, body: body("red") });
    const { name } = await namespace().running({
      volumes: [{ name: "v", configMap: { name: "settings" } }],
      containers: [shell(sleeps, at("/v"))],
    });
    expect(await namespace().sh(name, "cat /v/colour")).toBe("red");
    await core.replaceNamespacedConfigMap({ namespace: ns, name: "settings", body: body("blue") });
    await waitFor("the edit", async () => (await namespace().sh(name, "cat /v/colour")) === "blue", {
      timeoutMs: 120_000,
      intervalMs: 500,
    });
  });

  it("secret: its bytes, for the owner only, in memory, and as environment", async () => {
    const { core, name: ns } = namespace();
    const data = { key: Buffer.from("s3cret").toString("base64") };
    await core.createNamespacedSecret({ namespace: ns, body: { metadata: { name: "hidden" }, data } });
    const env = [{ name: "KEY", valueFrom: { secretKeyRef: { name: "hidden", key: "key" } } }];
    const output = await namespace().output(
      "cat /v/key; echo; stat -Lc %a /v/key; grep ' /v ' /proc/mounts | cut -d' ' -f3; echo $KEY",
      { ...at("/v"), env },
      { volumes: [{ name: "v", secret: { secretName: "hidden", defaultMode: 0o400 } }] },
    );
    expect(output.split("\n")).toEqual(["s3cret", "400", "tmpfs", "s3cret"]);
  });

  it("emptyDir: shared by the pod's containers, on disk and in memory with a limit", async () => {
    const { name } = await namespace().running({
      volumes: [
        { name: "disk", emptyDir: {} },
        { name: "memory", emptyDir: { medium: "Memory", sizeLimit: "8Mi" } },
      ],
      containers: ["a", "b"].map((container) =>
        shell(sleeps, {
          name: container,
          volumeMounts: [
            { name: "disk", mountPath: "/disk" },
            { name: "memory", mountPath: "/memory" },
          ],
        }),
      ),
    });
    await namespace().sh(name, "echo one > /disk/x; echo two > /memory/x", "a");
    expect(await namespace().sh(name, "cat /disk/x /memory/x", "b")).toBe("one\ntwo");
    expect(await namespace().sh(name, "grep ' /memory ' /proc/mounts", "b")).toMatch(/^tmpfs .*size=8192k/);
  });

  it("downward API: labels as a file, limits and names as environment", async () => {
    const output = await namespace().ended({
      volumes: [
        { name: "v", downwardAPI: { items: [{ path: "name", fieldRef: { fieldPath: "metadata.name" } }] } },
      ],
      containers: [
        shell("cat /v/name; echo; echo $NS $CPU", {
          ...at("/v"),
          resources: { limits: { cpu: "2" } },
          env: [
            { name: "NS", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } },
            { name: "CPU", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } },
          ],
        }),
      ],
    });
    expect(output.output).toBe(`${output.name}\n${namespace().name} 2\n`);
  });

  it("projected: the token of the service account, for an audience and a time", async () => {
    const token = await namespace().output("cat /v/token", at("/v"), {
      volumes: [
        {
          name: "v",
          projected: {
            sources: [{ serviceAccountToken: { path: "token", audience: "tests", expirationSeconds: 600 } }],
          },
        },
      ],
    });
    const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as {
      aud: string[];
      sub: string;
    };
    expect(claims.aud).toEqual(["tests"]);
    expect(claims.sub).toBe(`system:serviceaccount:${namespace().name}:default`);
  });

  it("hostPath: what the host has, written from inside; read-only where that is asked for", async () => {
    const folder = `${namespace().node.folder}/host-path`;
    mkdirSync(folder);
    writeFileSync(`${folder}/in`, "from the host");
    const volumes = [{ name: "v", hostPath: { path: folder, type: "Directory" } }];
    expect(await namespace().output("cat /v/in; echo -n from inside > /v/out", at("/v"), { volumes })).toBe(
      "from the host",
    );
    expect(readFileSync(`${folder}/out`, "utf8")).toBe("from inside");
    const denied = await namespace().output(
      "echo x > /v/out 2>&1 || true",
      at("/v", { readOnly: true, recursiveReadOnly: "Enabled" }),
      { volumes },
    );
    expect(denied).toContain("Read-only file system");
    rmSync(folder, { recursive: true });
  });

  it("subPath: one file or folder of a volume, also by the name of an environment variable", async () => {
    const { core, name: ns } = namespace();
    const data = { "app.conf": "x=1\n" };
    await core.createNamespacedConfigMap({ namespace: ns, body: { metadata: { name: "one" }, data } });
    const output = await namespace().output(
      "cat /etc/app.conf; ls /etc/passwd; touch /w/f; ls /all/sub",
      {
        env: [{ name: "DIR", value: "sub" }],
        volumeMounts: [
          { name: "v", mountPath: "/etc/app.conf", subPath: "app.conf" },
          { name: "e", mountPath: "/w", subPathExpr: "$(DIR)" },
          { name: "e", mountPath: "/all" },
        ],
      },
      {
        volumes: [
          { name: "v", configMap: { name: "one" } },
          { name: "e", emptyDir: {} },
        ],
      },
    );
    expect(output.split("\n")).toEqual(["x=1", "/etc/passwd", "f"]);
  });

  it("fsGroup: volumes belong to it, and the process is of it", async () => {
    const output = await namespace().output(
      "id -u; id -G; stat -c %g /v; touch /v/f; stat -c %g /v/f",
      at("/v"),
      {
        securityContext: { fsGroup: 3000, runAsUser: 1000, supplementalGroups: [4000] },
        volumes: [{ name: "v", emptyDir: {} }],
      },
    );
    const [user, groups = "", ...owners] = output.split("\n");
    expect(user).toBe("1000");
    expect(groups.split(" ")).toEqual(expect.arrayContaining(["3000", "4000"]));
    expect(owners).toEqual(["3000", "3000"]);
  });
});
