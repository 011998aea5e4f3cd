import { describe, expect, it } from "vitest";
import { formatReference, parseReference } from "./reference.ts";

const hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const digest = `sha256:${hex}`;
const long = (n: number) => "a".repeat(n);

describe("a reference has one normal form", () => {
  it.each([
    // The hub's short forms.
    ["busybox", "docker.io/library/busybox:latest"],
    ["busybox:1.36", "docker.io/library/busybox:1.36"],
    ["library/busybox", "docker.io/library/busybox:latest"],
    ["docker.io/busybox", "docker.io/library/busybox:latest"],
    ["docker.io/library/busybox", "docker.io/library/busybox:latest"],
    ["index.docker.io/busybox", "docker.io/library/busybox:latest"],
    ["index.docker.io/user/app:v1", "docker.io/user/app:v1"],
    ["user/app", "docker.io/user/app:latest"],
    ["user/app/sub:x", "docker.io/user/app/sub:x"],
    ["localhost", "docker.io/library/localhost:latest"],
    ["localhost:5000", "docker.io/library/localhost:5000"], // no slash: a name and a tag
    ["deadbeef", "docker.io/library/deadbeef:latest"],
    [hex.slice(1), `docker.io/library/${hex.slice(1)}:latest`],
    [`${hex}0`, `docker.io/library/${hex}0:latest`],
    // Registries.
    ["localhost/app", "localhost/app:latest"],
    ["localhost:5000/app", "localhost:5000/app:latest"],
    ["127.0.0.1:5000/app:v1", "127.0.0.1:5000/app:v1"],
    ["[::1]:5000/app:v1", "[::1]:5000/app:v1"],
    ["[fe80::1]/app", "[fe80::1]/app:latest"],
    ["registry.k8s.io/pause:3.9", "registry.k8s.io/pause:3.9"],
    ["registry.example.com:443/a/b/c", "registry.example.com:443/a/b/c:latest"],
    ["REGISTRY/app", "REGISTRY/app:latest"], // upper case cannot be a repository
    ["Registry.Example/app", "Registry.Example/app:latest"],
    ["a.b/c", "a.b/c:latest"],
    ["xn--n3h.example/app", "xn--n3h.example/app:latest"],
    // Tags.
    ["busybox:1", "docker.io/library/busybox:1"],
    ["busybox:_x", "docker.io/library/busybox:_x"],
    ["busybox:V1.0-rc.1_x", "docker.io/library/busybox:V1.0-rc.1_x"],
    [`busybox:${long(128)}`, `docker.io/library/busybox:${long(128)}`],
    // Digests win over tags.
    [`busybox@${digest}`, `docker.io/library/busybox@${digest}`],
    [`busybox:1.36@${digest}`, `docker.io/library/busybox@${digest}`],
    [`localhost:5000/a/b:v1@${digest}`, `localhost:5000/a/b@${digest}`],
    [`a.b/c@sha512:${hex}${hex}`, `a.b/c@sha512:${hex}${hex}`],
    // Separators inside a component.
    ["a.b/c_d/e__f/g.h/i-j/k---l", "a.b/c_d/e__f/g.h/i-j/k---l:latest"],
    ["0/1:2", "docker.io/0/1:2"],
    [`a.b/${long(255)}`, `a.b/${long(255)}:latest`],
  ])("%s", (text, normal) => {
    expect(formatReference(parseReference(text))).toBe(normal);
    expect(formatReference(parseReference(normal))).toBe(normal);
  });
});

describe("what is no reference is refused", () => {
  it.each([
    ["nothing", ""],
    ["64 hex digits", hex],
    ["an image id", digest],
    ["upper case in a repository", "Busybox"],
    ["upper case behind a registry", "docker.io/Busybox"],
    ["an empty tag", "busybox:"],
    ["a tag that begins with a dot", "busybox:.x"],
    ["a tag that begins with a dash", "busybox:-x"],
    ["a tag of 129 characters", `busybox:${long(129)}`],
    ["two tags", "busybox:1:2"],
    ["a slash behind the tag", "a.b/c:1/d"],
    ["an empty digest", "busybox@"],
    ["a short digest", "busybox@sha256:abc"],
    ["an upper-case digest", `busybox@sha256:${hex.toUpperCase()}`],
    ["an unknown algorithm", `busybox@md5:${hex.slice(32)}`],
    ["two digests", `busybox@${digest}@${digest}`],
    ["a path that climbs", "../../etc/passwd"],
    ["a component that climbs", "a.b/../c"],
    ["an empty component", "a.b//c"],
    ["a slash at the end", "a.b/c/"],
    ["a slash at the beginning", "/a/b"],
    ["a dot at the end of a component", "a.b/c."],
    ["two dots", "a.b/c..d"],
    ["three underscores", "a.b/c___d"],
    ["an underscore before a dash", "a.b/c_-d"],
    ["an address", "https://a.b/c"],
    ["a query", "a.b/c?x=y"],
    ["credentials", "user:pass@a.b/c"],
    ["a blank", "a.b/c d"],
    ["a newline", "busybox\n"],
    ["a NUL", "busybox\0"],
    ["a letter from elsewhere", "bu\u00dfybox"],
    ["a percent", "a.b/%2e%2e/c"],
    ["a backslash", "a.b\\c/d"],
    ["a host that begins with a dash", "-a.b/c"],
    ["a host that ends with a dot", "a.b./c"],
    ["a port that is no number", "a.b:x/c"],
    ["a port out of range", "a.b:65536/c"],
    ["a broken IPv6 host", "[::1/c"],
    ["a repository of 256 characters", `a.b/${long(256)}`],
    ["a megabyte", long(1 << 20)],
  ])("%s", (_, text) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ kind: "invalid-argument" }));
    expect(() => parseReference(text)).toThrow(/^image reference ".{0,400}" is not valid: /s);
  });
});
