# Sourced by the set-up scripts: where downloads live, outside the tree and keyed by version.
VGPU_CACHE="${VGPU_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vgpu}"
CUDA13_VERSION=13.0
CUDA12_VERSION=12.9
CUDA13_ROOT="$VGPU_CACHE/cuda-$CUDA13_VERSION"
CUDA12_ROOT="$VGPU_CACHE/cuda-$CUDA12_VERSION"
