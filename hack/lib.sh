# SPDX-License-Identifier: Apache-2.0
# Sourced by the shell programs of hack/. Sets: repo (the checkout), arch (Node's name for it), node
# (the project's own Node 26, an npm package: nothing here depends on the machine's), cache (what outlives a
# checkout and may be kept from one machine to the next).

cache=${KOBAKO_CACHE:-/var/cache/kobako}
repo=$(cd "$(dirname "$0")/.." && pwd)
case $(uname -m) in
x86_64) arch=x64 ;;
aarch64) arch=arm64 ;;
*)
	echo "$0: no Node 26 for $(uname -m): x86_64 and aarch64 only" >&2
	exit 16
	;;
esac
node=$repo/node_modules/node-linux-$arch/bin/node

# die CODE MESSAGE
die() {
	code=$1
	shift
	echo "$(basename "$0"): $*" >&2
	exit "$code"
}

# install_packages NAME... : those of Debian's packages that are not installed yet. Their services are not started: they
# are used as programs. What apt says is long, and of interest only when it fails; another apt (a timer's) is waited for.
install_packages() {
	missing=
	for package in "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	echo "$(basename "$0"): installing$missing" >&2
	(
		log=$(mktemp)
		guard=/usr/sbin/policy-rc.d
		trap 'rm -f "$log"' EXIT
		if [ ! -e $guard ]; then
			printf '#!/bin/sh\nexit 101\n' >$guard
			chmod +x $guard
			trap 'rm -f "$log" /usr/sbin/policy-rc.d' EXIT
		fi
		export DEBIAN_FRONTEND=noninteractive
		apt="apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -qq"
		# shellcheck disable=SC2086 # lists of words
		{ $apt update && $apt install -y --no-install-recommends $missing; } >"$log" 2>&1 </dev/null && exit
		tail -n 20 "$log" >&2
		exit 1
	)
}

# The options of the caller's shell must not reach the tools: a debug port, a preload.
unset NODE_OPTIONS NODE_PATH LD_PRELOAD

# Runs hack/NAME.ts. --disable-warning: type stripping and sqlite announce themselves.
run_ts() {
	name=$1
	shift
	[ -x "$node" ] || die 18 "no Node 26 in node_modules: run hack/setup"
	exec "$node" --disable-warning=ExperimentalWarning "$repo/hack/$name.ts" "$@"
}
