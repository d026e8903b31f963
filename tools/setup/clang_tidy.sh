#!/usr/bin/env bash
# Puts clang-tidy into the cache, from PyPI's wheel at a pinned version, and prints where the program is. Debian's
# clang-tidy 19 matches every check against all of the system's headers; this one does not, and takes a third of the time.
set -euo pipefail
. "$(dirname "$0")/cache.sh"

version=22.1.8
root=$VGPU_CACHE/clang-tidy-$version
program=$root/clang_tidy/data/bin/clang-tidy
if [ ! -x "$program" ]; then
  mkdir -p "$VGPU_CACHE"
  work=$(mktemp -d "$VGPU_CACHE/.clang-tidy.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$work" \
    "clang-tidy==$version" >&2
  python3 -m zipfile -e "$work"/clang_tidy-*.whl "$work/root"
  chmod +x "$work/root/clang_tidy/data/bin/clang-tidy"
  mv -T "$work/root" "$root" 2>/dev/null || test -x "$program"
fi
echo "$program"
