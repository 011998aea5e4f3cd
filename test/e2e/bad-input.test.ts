/** Each wrong request gets an error that names the thing, with the right code, and leaves nothing behind. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { buildImage, buildIndex, buildLayer, push } from "../support/image-builder.ts";
import type { CriError } from "../support/cri-client.ts";
import { testDaemon } from "../support/daemon.ts";
import { container, createContainer, exec, exited, pod, runPod, startContainer } from "../support/pods.ts";
import { Registry } from "../support/registry.ts";
import { within } from "../support/slowness.ts";
import { useNode } from "../support/use-node.ts";

const node = useNode();

/** Asserts code and text of a failing call. */
async function fails(
  call: Promise<unknown>,
  code: status | readonly status[],
  ...texts: (string | RegExp)[]
) {
  const error = await call.then(
    (value) =>
      Promise.reject(
        new Error(
          `expected an error, got ${JSON.stringify(value, (_, v) => (typeof v === "bigint" ? String(v) : v))}`,
        ),
      ),
    (reason: CriError) => reason,
  );
  const codes = typeof code === "number" ? [code] : code;
  expect(
    codes.map((c) => status[c]),
    error.message,
  ).toContain(status[error.code]);
  for (const text of texts) expect(error.details).toMatch(text);
  expect(error.details, "no stack in a message").not.toMatch(/\n\s+at /);
}

const id = (digit: string) => digit.repeat(64);

describe("ids", () => {
  it("unknown ones are NOT_FOUND by name", async () => {
    const { client } = node().daemon;
    await fails(client.podSandboxStatus({ podSandboxId: id("a") }), status.NOT_FOUND, /aaaa/);
    await fails(client.containerStatus({ containerId: id("b") }), status.NOT_FOUND, /bbbb/);
    await fails(client.startContainer({ containerId: id("c") }), status.NOT_FOUND, /cccc/);
    await fails(client.execSync({ containerId: id("d"), cmd: ["true"] }), status.NOT_FOUND, /dddd/);
    await fails(client.reopenContainerLog({ containerId: id("e") }), status.NOT_FOUND, /eeee/);
    await fails(client.containerStats({ containerId: id("f") }), status.NOT_FOUND, /ffff/);
    await fails(client.podSandboxStats({ podSandboxId: id("0") }), status.NOT_FOUND, /0000/);
    await fails(
      client.updateContainerResources({ containerId: id("1"), linux: {} }),
      status.NOT_FOUND,
      /1111/,
    );
    await fails(
      client.createContainer({ podSandboxId: id("2"), config: container(node().image), sandboxConfig: {} }),
      status.NOT_FOUND,
      /2222/,
    );
  });

  it("an empty id is INVALID_ARGUMENT", async () => {
    const { client } = node().daemon;
    for (const call of [
      client.podSandboxStatus({}),
      client.containerStatus({}),
      client.startContainer({}),
      client.execSync({ cmd: ["true"] }),
    ])
      await fails(call, [status.INVALID_ARGUMENT, status.NOT_FOUND]);
  });
});

describe("states", () => {
  it("a container in a stopped sandbox", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon);
    await daemon.client.stopPodSandbox({ podSandboxId: sandbox.id });
    await fails(createContainer(daemon, sandbox, container(image)), status.FAILED_PRECONDITION, sandbox.id);
  });

  it("exec in one that is only created, start of one that runs", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon);
    const containerId = await createContainer(daemon, sandbox, container(image));
    await fails(exec(daemon, containerId, "true"), status.FAILED_PRECONDITION, /created|running/);
    await daemon.client.startContainer({ containerId });
    await fails(daemon.client.startContainer({ containerId }), status.FAILED_PRECONDITION, /running/);
  });

  it("a container name that is taken names who has it, and the field that differs", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon);
    const config = container(image, { metadata: { name: "taken" } });
    const first = await createContainer(daemon, sandbox, config);
    await fails(
      createContainer(daemon, sandbox, { ...config, tty: true }),
      status.ALREADY_EXISTS,
      /taken|tty/,
      first.slice(0, 12),
    );
  });
});

describe("images", () => {
  const pull = (image: string, auth?: { username: string; password: string }) =>
    node().daemon.client.pullImage({ image: { image }, ...(auth ? { auth } : {}) });

  it("references that are none", async () => {
    for (const image of [
      "",
      "case/UPPER",
      "a b",
      "x:tag:tag",
      `${"a".repeat(64)}`,
      "../x",
      "x@sha256:short",
      "x".repeat(5000),
    ])
      await fails(pull(image), status.INVALID_ARGUMENT);
  });

  it("missing: repository, tag, digest", async () => {
    const { host } = node().registry;
    await fails(pull(`${host}/no/such`), status.NOT_FOUND, /no\/such/);
    await fails(pull(`${host}/test:no-such-tag`), status.NOT_FOUND, /no-such-tag/);
    await fails(pull(`${host}/test@sha256:${id("0")}`), status.NOT_FOUND, /sha256:0000/);
  });

  it("a registry that does not answer is UNAVAILABLE by its name", async () => {
    await fails(pull("127.0.0.1:1/x"), status.UNAVAILABLE, /127\.0\.0\.1:1/);
  });

  it("unauthorised: without, with wrong, then with the right credentials; none of them in message or log", async () => {
    const { daemon } = node();
    await using guarded = await Registry.start({ auth: true });
    const reference = await guarded.push("private", "1", await buildImage({ layers: [[{ name: "x" }]] }));
    await fails(pull(reference), [status.UNAUTHENTICATED, status.PERMISSION_DENIED], /private/);
    const password = "wrong-secret-4711";
    await fails(pull(reference, { username: "kobako", password }), [
      status.UNAUTHENTICATED,
      status.PERMISSION_DENIED,
    ]);
    await pull(reference, { username: "kobako", password: "correct horse" });
    expect(daemon.log()).not.toMatch(/wrong-secret|correct horse/);
    expect(daemon.log()).not.toContain(Buffer.from("kobako:correct horse").toString("base64"));
    await daemon.client.removeImage({ image: { image: reference } });
  });

  it("of another platform: says which there are and which was looked for", async () => {
    const { registry } = node();
    const platform = { os: "linux", architecture: "s390x" };
    const image = await buildImage({ layers: [[{ name: "x" }]], platform });
    const index = await registry.push("foreign", "index", buildIndex([{ image, platform }]));
    await fails(
      pull(index),
      [status.NOT_FOUND, status.FAILED_PRECONDITION, status.INVALID_ARGUMENT],
      /s390x/,
    );
    const single = await registry.push("foreign", "single", image);
    await fails(
      pull(single),
      [status.NOT_FOUND, status.FAILED_PRECONDITION, status.INVALID_ARGUMENT],
      /s390x/,
    );
  });

  it("corrupt: a diff id that lies, bytes that are no archive", async () => {
    const { daemon, registry } = node();
    const lying = await buildLayer([{ name: "x", content: "x" }], { diffId: `sha256:${id("1")}` });
    await fails(
      pull(await registry.push("corrupt", "diff-id", await buildImage({ layers: [lying] }))),
      [status.INVALID_ARGUMENT, status.FAILED_PRECONDITION],
      /diff/i,
    );
    const honest = await buildLayer([{ name: "y", content: "y" }]);
    const { sha256, mediaTypes } = await import("../support/image-builder.ts");
    const noise = new TextEncoder().encode("this is not gzip");
    const broken = { ...honest, bytes: noise, digest: sha256(noise), mediaType: mediaTypes.oci.gzip };
    await push(registry.url, "corrupt", "noise", await buildImage({ layers: [broken] }));
    await fails(pull(`${registry.host}/corrupt:noise`), [
      status.INVALID_ARGUMENT,
      status.FAILED_PRECONDITION,
    ]);
    const { images } = await daemon.client.listImages({});
    expect(images.flatMap(({ repoTags }) => repoTags).filter((tag) => tag.includes("corrupt"))).toEqual([]);
  });

  it("a container of an image that is not here", async () => {
    const { daemon } = node();
    const sandbox = await runPod(daemon);
    await fails(createContainer(daemon, sandbox, container("not/pulled:1")), status.NOT_FOUND, /not\/pulled/);
  });
});

describe("containers that cannot be", () => {
  const create = async (more: Parameters<typeof container>[1], image = node().image) => {
    const { daemon } = node();
    const sandbox = await runPod(daemon);
    return await createContainer(daemon, sandbox, container(image, more));
  };

  // One that is only missing is made as a folder, as the peers do: hostPath volumes without a type rely on it.
  it("a mount source that can't be, or of another kind than its target", async () => {
    await fails(
      create({ mounts: [{ hostPath: "/etc/passwd/below", containerPath: "/x" }] }),
      [status.NOT_FOUND, status.INVALID_ARGUMENT, status.FAILED_PRECONDITION],
      /\/etc\/passwd\/below/,
    );
    await fails(
      create({ mounts: [{ hostPath: "relative", containerPath: "/x" }] }),
      status.INVALID_ARGUMENT,
      /relative/,
    );
    await fails(
      create({ mounts: [{ hostPath: "/tmp", containerPath: "x/../../y" }] }),
      status.INVALID_ARGUMENT,
    );
  });

  it.each([
    ["/no/such/entrypoint", "/no/such/entrypoint"],
    ["not-in-path", "not-in-path"],
    ["/etc/passwd", "/etc/passwd"], // there, but not executable
    ["/tmp", "/tmp"], // a folder
  ])("the entrypoint %s", async (entrypoint, named) => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon);
    // Either call may be the one that finds it; the container is then exited with 127 or 126, or not there.
    const failing = startContainer(daemon, sandbox, container(image, { command: [entrypoint] }));
    await fails(failing, [status.FAILED_PRECONDITION, status.INVALID_ARGUMENT, status.NOT_FOUND], named);
  });

  it("an unknown user or group", async () => {
    await fails(
      create({ security: { runAsUsername: "nobody-knows" } }),
      status.INVALID_ARGUMENT,
      /nobody-knows/,
    );
    const image = await node().addImage("unknown-user", { config: { User: "ghost:web", Cmd: ["/bin/sh"] } });
    await fails(create({}, image), status.INVALID_ARGUMENT, /ghost/);
    await fails(create({ security: { runAsUser: { value: -1n } } }), status.INVALID_ARGUMENT);
    await fails(
      create({ security: { runAsUser: { value: 4294967296n } } }),
      status.INVALID_ARGUMENT,
      /4294967296/,
    );
    await fails(create({ security: { runAsGroup: { value: 5n } } }), status.INVALID_ARGUMENT, /group/i);
  });

  it("a seccomp profile that is missing, relative or broken never runs unconfined", async () => {
    const { daemon } = node();
    const folder = join(daemon.folder, "seccomp");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "broken.json"), "{ not json");
    for (const localhostRef of ["", "relative.json", "/no/such/profile.json", join(folder, "broken.json")])
      await fails(create({ security: { seccomp: { profileType: 2, localhostRef } } }), [
        status.INVALID_ARGUMENT,
        status.FAILED_PRECONDITION,
        status.NOT_FOUND,
      ]);
  });

  it("unknown capabilities and devices", async () => {
    await fails(
      create({ security: { capabilities: { addCapabilities: ["FLY"] } } }),
      status.INVALID_ARGUMENT,
      /FLY/,
    );
    await fails(
      create({ devices: [{ hostPath: "/dev/no-such", containerPath: "/dev/x", permissions: "rwm" }] }),
      [status.NOT_FOUND, status.INVALID_ARGUMENT, status.FAILED_PRECONDITION],
      /no-such/,
    );
    await fails(
      create({ devices: [{ hostPath: "/dev/null", containerPath: "/dev/x", permissions: "rwmx" }] }),
      status.INVALID_ARGUMENT,
      /rwmx/,
    );
  });

  it("sysctls that are not namespaced, or of a namespace that is the host's", async () => {
    const { daemon } = node();
    const run = (sysctls: Record<string, string>, network = 0) =>
      daemon.client.runPodSandbox({
        config: pod(daemon, { linux: { sysctls, securityContext: { namespaceOptions: { network } } } }),
      });
    await fails(run({ "kernel.core_pattern": "|/x" }), status.INVALID_ARGUMENT, /kernel\.core_pattern/);
    await fails(run({ "net/../kernel/core_pattern": "x" }), status.INVALID_ARGUMENT);
    await fails(run({ "kernel.shm_rmid_forced": "1+kernel.core_pattern=|/x" }), status.INVALID_ARGUMENT);
    await fails(run({ "net.ipv4.ip_forward": "1\n2" }), status.INVALID_ARGUMENT);
    await fails(run({ "net.ipv4.ip_forward": "1" }, 2), status.INVALID_ARGUMENT, /net\.ipv4\.ip_forward/);
  });

  it("a folder or a mount source where nothing can be made is named, and holds nobody up", async () => {
    const { daemon, image } = node();
    const nowhere = "/proc/1/no/such";
    await fails(
      daemon.client.runPodSandbox(
        { config: pod(daemon, { logDirectory: nowhere }) },
        { timeoutMs: within(5000) },
      ),
      status.INVALID_ARGUMENT,
      /log_directory .*\/proc\/1\/no\/such/,
    );
    const sandbox = await runPod(daemon);
    await fails(
      createContainer(
        daemon,
        sandbox,
        container(image, { mounts: [{ hostPath: nowhere, containerPath: "/m" }] }),
      ),
      status.FAILED_PRECONDITION,
      /mount source .*\/proc\/1\/no\/such/,
    );
  });

  it("paths and limits that can't be had are the asker's mistakes, by their names", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon);
    const create = (more: Parameters<typeof container>[1]) =>
      createContainer(daemon, sandbox, container(image, more));
    await fails(create({ logPath: "no/folder/0.log" }), status.INVALID_ARGUMENT, /log .*no\/folder/);
    await fails(create({ workingDir: "/etc/passwd" }), status.INVALID_ARGUMENT, /\/etc\/passwd/);
    await fails(
      create({ mounts: [{ hostPath: "/etc/hostname", containerPath: "/bin" }] }),
      status.INVALID_ARGUMENT,
      /"\/bin"/,
    );
    await fails(
      create({ linux: { resources: { cpusetCpus: "4000" } } }),
      [status.INVALID_ARGUMENT, status.FAILED_PRECONDITION],
      /4000/,
    );
    await fails(
      create({ linux: { resources: { memoryLimitInBytes: 1000n } } }),
      [status.INVALID_ARGUMENT, status.FAILED_PRECONDITION],
      /memory/,
    );
  });

  it("a handler that is not configured", async () => {
    const { daemon } = node();
    await fails(
      daemon.client.runPodSandbox({ config: pod(daemon), runtimeHandler: "no-such-handler" }),
      [status.INVALID_ARGUMENT, status.NOT_FOUND],
      /no-such-handler/,
    );
  });

  it("a container without a name, image or command", async () => {
    const { daemon, addImage, image } = node();
    const sandbox = await runPod(daemon);
    const bare = await addImage("bare", { config: {} });
    const call = (config: Parameters<typeof createContainer>[2]) => createContainer(daemon, sandbox, config);
    await fails(call({ image: { image }, command: ["true"] }), status.INVALID_ARGUMENT, /metadata|name/);
    await fails(call({ metadata: { name: "x" }, command: ["true"] }), status.INVALID_ARGUMENT, /image/);
    await fails(
      call({ metadata: { name: "x" }, image: { image: bare } }),
      [status.INVALID_ARGUMENT, status.FAILED_PRECONDITION],
      /command|entrypoint/i,
    );
  });

  it("one that ends at once is an exited container, not an error", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon);
    const containerId = await startContainer(
      daemon,
      sandbox,
      container(image, { command: ["/bin/sh", "-c", "exit 42"] }),
    );
    expect((await exited(daemon, containerId)).exitCode).toBe(42);
  });
});

describe("methods of later work", () => {
  it("answer UNIMPLEMENTED by their name", async () => {
    const { client } = node().daemon;
    await fails(client.checkpointPod({ podSandboxId: id("a") }), status.UNIMPLEMENTED, /CheckpointPod/i);
    await fails(client.listMetricDescriptors({}), status.UNIMPLEMENTED, /ListMetricDescriptors/i);
  });
});

describe("configuration", () => {
  it("an unknown key ends the daemon with file, line and the nearest name", async () => {
    const failure = testDaemon({ config: "\n[netwrok]\n" });
    await expect(failure).rejects.toThrow(/config\.toml:\d+[\s\S]*netwrok[\s\S]*network/);
  });
});
