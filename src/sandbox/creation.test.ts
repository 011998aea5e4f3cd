import { describe, expect, it } from "vitest";
import { Creations } from "./creation.ts";
import { fingerprint } from "./fingerprint.ts";

const key = Buffer.alloc(32, 7);
const request = (more: object = {}) => fingerprint({ labels: { a: "1", b: "2" }, ports: [80], ...more }, key);
const asMade = () => true;
const live = () => new AbortController().signal;

function ids(): () => string {
  let n = 0;
  return () => `id-${++n}`;
}

describe("a request that was made before", () => {
  it("joins an equal one that is under way", async () => {
    const creations = new Creations("sandbox");
    const made = Promise.withResolvers<void>();
    const newId = ids();
    const first = creations.run("web", request(), newId, () => made.promise, asMade, live());
    const second = creations.run(
      "web",
      request(),
      newId,
      () => Promise.reject(new Error("made twice")),
      asMade,
      live(),
    );
    made.resolve();
    await expect(Promise.all([first, second])).resolves.toEqual(["id-1", "id-1"]);
  });

  it("is told the id once more when its first answer was lost", async () => {
    const creations = new Creations("sandbox");
    const made = Promise.withResolvers<void>();
    const gone = new AbortController();
    const first = creations.run("web", request(), ids(), () => made.promise, asMade, gone.signal);
    gone.abort(new Error("client went away"));
    await expect(first).rejects.toThrow("client went away");
    made.resolve();
    await creations.settled();
    const retry = () =>
      creations.run("web", request(), ids(), () => Promise.reject(new Error("made twice")), asMade, live());
    await expect(retry()).resolves.toBe("id-1");
    await expect(retry()).rejects.toMatchObject({
      kind: "already-exists",
      message: expect.stringContaining("id-1"),
    });
  });

  it("is refused by the name of the field that differs, whatever the order of keys", async () => {
    const creations = new Creations("sandbox");
    await creations.run("web", request(), ids(), () => Promise.resolve(), asMade, live());
    await expect(
      creations.run(
        "web",
        request({ labels: { b: "2", a: "1" }, ports: [81] }),
        ids(),
        () => Promise.resolve(),
        asMade,
        live(),
      ),
    ).rejects.toMatchObject({
      kind: "already-exists",
      message: expect.stringMatching(/with another ports/),
    });
  });

  it("finds what a former daemon made, once", async () => {
    const creations = new Creations("sandbox");
    creations.adopt("web", "id-old", request());
    const retry = () =>
      creations.run("web", request(), ids(), () => Promise.reject(new Error("made twice")), asMade, live());
    await expect(retry()).resolves.toBe("id-old");
    await expect(retry()).rejects.toMatchObject({ kind: "already-exists" });
  });
});

it("one that is no longer as it was made is named, not answered with", async () => {
  const creations = new Creations("sandbox");
  creations.adopt("web", "id-old", request());
  await expect(
    creations.run(
      "web",
      request(),
      ids(),
      () => Promise.resolve(),
      () => false,
      live(),
    ),
  ).rejects.toMatchObject({ kind: "already-exists", message: expect.stringContaining("id-old") });
});

it("a name is given free by its owner only", async () => {
  const creations = new Creations("sandbox");
  creations.adopt("web", "id-old", request());
  creations.release("web", "id-other");
  await expect(creations.run("web", request(), ids(), () => Promise.resolve(), asMade, live())).resolves.toBe(
    "id-old",
  );
});

it("a creation that failed gives its name free", async () => {
  const creations = new Creations("sandbox");
  await expect(
    creations.run("web", request(), ids(), () => Promise.reject(new Error("no network")), asMade, live()),
  ).rejects.toThrow("no network");
  await expect(creations.run("web", request(), ids(), () => Promise.resolve(), asMade, live())).resolves.toBe(
    "id-1",
  );
});
