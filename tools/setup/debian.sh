#!/usr/bin/env bash
# Installs what the project needs from Debian 12's packages. Does nothing when all are there.
set -euo pipefail
packages="clang-19 llvm-19-dev libclang-rt-19-dev lld-19 clang-format-19 g++ ccache cmake ninja-build
  libspdlog-dev libyaml-cpp-dev prometheus-cpp-dev libseccomp-dev liblz4-dev libzstd-dev libcap-dev
  libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libgtest-dev libgmock-dev
  python3 python3-pip curl patchelf git ca-certificates"

missing=""
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: these Debian packages are missing, install them as root:$missing" >&2; exit 1; }
  as_root="sudo"
fi
$as_root apt-get update -qq
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
