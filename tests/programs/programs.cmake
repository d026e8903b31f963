# The programs, in an order that spreads the other targets (compute_75, compute_90, -G) over them.
set(VGPU_PROGRAMS vector_add reduction matmul_tiled streams_events constant_symbols nbody mandelbrot managed_variable
    textures pinned registered managed device_printf cub_radix_sort thrust_pipeline cooperative_groups
    errors capture_allocate big_allocation progress host_functions occupancy driver_api launch_forms async_alloc
    peer_copies_2d_3d crash endless_kernel steady fork_child after_static_destructors libraries algorithms
    device_features numeric_types demo recursion matrix_fragments cooperative_grid barriers async_copy
    matrix_wmma streams_meet separate_compilation memory_holder)

# What clang's CUDA front end cannot compile, with the reason.
set(VGPU_PROGRAMS_NOT_FOR_CLANG
  managed_variable  # no __managed__ in clang
  matrix_fragments matrix_wmma async_copy barriers  # instructions of compute_80, and clang compiles for compute_75
  separate_compilation  # clang links machine code only, with its own tools
)

# Built with nvcc -rdc=true: the sources in the folder of its name are objects of the same program.
set(VGPU_PROGRAMS_OF_SEPARATE_COMPILATION separate_compilation)

# What the scenarios run, because it needs a partner or an end from outside.
set(VGPU_PROGRAMS_NOT_ALONE endless_kernel steady memory_holder)

# Kernels that the loops form cannot take, so that forcing it makes no sense: threads that wait for each other
# outside barriers, a barrier of the grid, recursion.
set(VGPU_PROGRAMS_FOR_FIBERS progress cooperative_grid recursion endless_kernel streams_meet)

# What waits, on the device, for what it submits later: where every call waits for its outcome that hangs, as it does
# natively with CUDA_LAUNCH_BLOCKING=1.
set(VGPU_PROGRAMS_NOT_STRICT streams_meet)
