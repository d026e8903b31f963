#!/usr/bin/env bash
# Puts two CUDA toolkit roots into the cache, from PyPI's wheels at pinned versions:
#   cuda-13.0  nvcc, ptxas, headers, runtime, CCCL: what nvcc users build with
#   cuda-12.9  headers, runtime, libdevice, CCCL: for clang, which stands for the CUDA 12 front end
# A root is made beside its final place and renamed, so an interrupted run leaves nothing half made.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/cache.sh"

cuda13_wheels="nvidia-cuda-nvcc==13.0.88 nvidia-cuda-runtime==13.0.96 nvidia-cuda-crt==13.0.88
  nvidia-nvvm==13.0.88 nvidia-cuda-cccl==13.0.85"
cuda12_wheels="nvidia-cuda-nvcc-cu12==12.9.86 nvidia-cuda-runtime-cu12==12.9.79 nvidia-cuda-cccl-cu12==12.9.27"

fetch() {  # fetch FOLDER WHEEL...: downloads and unpacks wheels into FOLDER
  local folder=$1; shift
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --dest "$folder/wheels" "$@"
  for wheel in "$folder"/wheels/*.whl; do
    python3 -m zipfile -e "$wheel" "$folder/site"
  done
  rm -rf "$folder/wheels"
}

make_cuda13() {
  local work; work=$(mktemp -d "$VGPU_CACHE/.cuda13.XXXXXX")
  # shellcheck disable=SC2086
  fetch "$work" $cuda13_wheels
  local root=$work/site/nvidia/cu13
  chmod +x "$root"/bin/* "$root"/nvvm/bin/* 2>/dev/null || true
  ln -s libcudart.so.13 "$root/lib/libcudart.so"
  ln -s lib "$root/lib64"
  mv "$root" "$CUDA13_ROOT" 2>/dev/null || test -d "$CUDA13_ROOT"
  rm -rf "$work"
}

make_cuda12() {
  local work; work=$(mktemp -d "$VGPU_CACHE/.cuda12.XXXXXX")
  # shellcheck disable=SC2086
  fetch "$work" $cuda12_wheels
  local root=$work/root part
  mkdir -p "$root"
  for part in cuda_runtime cuda_nvcc cuda_cccl; do
    cp -a "$work/site/nvidia/$part/." "$root/"
  done
  find "$root" -name __init__.py -delete
  chmod +x "$root"/bin/* 2>/dev/null || true
  ln -s libcudart.so.12 "$root/lib/libcudart.so"
  ln -s lib "$root/lib64"
  printf '{"cuda":{"name":"CUDA SDK","version":"12.9.0"}}\n' > "$root/version.json"
  mv "$root" "$CUDA12_ROOT" 2>/dev/null || test -d "$CUDA12_ROOT"
  rm -rf "$work"
}

mkdir -p "$VGPU_CACHE"
[ -x "$CUDA13_ROOT/bin/nvcc" ] || make_cuda13
[ -f "$CUDA12_ROOT/version.json" ] || make_cuda12
