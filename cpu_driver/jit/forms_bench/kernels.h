// The kernels of the comparison, as thread functions in LLVM assembly: what a translator makes of nvcc's PTX
// for them. Bench process only.
#pragma once

#include <string>

namespace vgpu::jit::bench {

inline std::string opening(const std::string& parameters) {
  return R"(
define void @kernel(ptr %thread) {
entry:
  %param = call ptr @vgpu.param.base()
  %shared = call ptr @vgpu.shared.base()
  %tx = call i32 @vgpu.tid.x()
  %ty = call i32 @vgpu.tid.y()
  %nx = call i32 @vgpu.ntid.x()
  %bx = call i32 @vgpu.ctaid.x()
  %by = call i32 @vgpu.ctaid.y()
  %gx = call i32 @vgpu.nctaid.x()
  %i0 = mul i32 %bx, %nx
  %i = add i32 %i0, %tx
)" + parameters;
}

inline std::string parameter(const std::string& name, const std::string& type, unsigned offset) {
  const std::string at = "%" + name + ".at";
  return "  " + at + " = getelementptr i8, ptr %param, i64 " + std::to_string(offset) + "\n  %" + name +
         " = load " + type + ", ptr " + at + ", !invariant.load !0\n";
}

inline std::string closing() { return "\n}\n!0 = !{}\n"; }

// y[i] = a * x[i] + y[i] for i < n
inline std::string saxpy() {
  return opening(parameter("x", "ptr", 0) + parameter("y", "ptr", 8) + parameter("a", "float", 16) +
                 parameter("n", "i32", 20)) +
         R"(
  %in = icmp slt i32 %i, %n
  br i1 %in, label %work, label %end
work:
  %i64 = sext i32 %i to i64
  %px = getelementptr float, ptr %x, i64 %i64
  %py = getelementptr float, ptr %y, i64 %i64
  %vx = load float, ptr %px
  %vy = load float, ptr %py
  %r = call float @llvm.fma.f32(float %a, float %vx, float %vy)
  store float %r, ptr %py
  br label %end
end:
  ret void)" +
         closing();
}

// C = A * B, n x n, tiles of 16 x 16 in shared memory.
inline std::string matmul() {
  std::string body = opening(parameter("a", "ptr", 0) + parameter("b", "ptr", 8) + parameter("c", "ptr", 16) +
                             parameter("n", "i32", 24)) +
                     R"(
  %bs = getelementptr i8, ptr %shared, i64 1024
  %row0 = shl i32 %by, 4
  %row = add i32 %row0, %ty
  %col0 = shl i32 %bx, 4
  %col = add i32 %col0, %tx
  %t0 = shl i32 %ty, 4
  %t = add i32 %t0, %tx
  %t64 = zext i32 %t to i64
  %sa = getelementptr float, ptr %shared, i64 %t64
  %sb = getelementptr float, ptr %bs, i64 %t64
  %ra0 = mul i32 %row, %n
  %t064 = zext i32 %t0 to i64
  %sarow = getelementptr float, ptr %shared, i64 %t064
  %tx64 = zext i32 %tx to i64
  %sbcol = getelementptr float, ptr %bs, i64 %tx64
  br label %tile
tile:
  %k = phi i32 [ 0, %entry ], [ %knext, %tile ]
  %sum = phi float [ 0.0, %entry ], [ %acc16, %tile ]
  %ax = add i32 %k, %tx
  %ai = add i32 %ra0, %ax
  %ai64 = sext i32 %ai to i64
  %pa = getelementptr float, ptr %a, i64 %ai64
  %va = load float, ptr %pa
  store float %va, ptr %sa
  %bk = add i32 %k, %ty
  %bm = mul i32 %bk, %n
  %bi = add i32 %bm, %col
  %bi64 = sext i32 %bi to i64
  %pb = getelementptr float, ptr %b, i64 %bi64
  %vb = load float, ptr %pb
  store float %vb, ptr %sb
  call void @vgpu.barrier(i32 0, i32 0)
  %acc0 = fadd float %sum, 0.0
)";
  for (int k = 0; k < 16; ++k) {
    const std::string s = std::to_string(k);
    body += "  %pa" + s + " = getelementptr float, ptr %sarow, i64 " + s + "\n  %va" + s +
            " = load float, ptr %pa" + s + "\n  %pb" + s + " = getelementptr float, ptr %sbcol, i64 " +
            std::to_string(16 * k) + "\n  %vb" + s + " = load float, ptr %pb" + s + "\n  %acc" +
            std::to_string(k + 1) + " = call float @llvm.fma.f32(float %va" + s + ", float %vb" + s +
            ", float %acc" + s + ")\n";
  }
  return body + R"(
  call void @vgpu.barrier(i32 0, i32 0)
  %knext = add i32 %k, 16
  %more = icmp slt i32 %knext, %n
  br i1 %more, label %tile, label %done
done:
  %ci = add i32 %ra0, %col
  %ci64 = sext i32 %ci to i64
  %pc = getelementptr float, ptr %c, i64 %ci64
  store float %acc16, ptr %pc
  ret void)" +
         closing();
}

// Accelerations of n bodies {x, y, z, mass}; tiles of a block's width in shared memory.
inline std::string nbody() {
  return opening(parameter("p", "ptr", 0) + parameter("out", "ptr", 8) + parameter("n", "i32", 16)) + R"(
  %i64 = sext i32 %i to i64
  %mine = getelementptr <4 x float>, ptr %p, i64 %i64
  %my = load <4 x float>, ptr %mine, align 16
  %x = extractelement <4 x float> %my, i32 0
  %y = extractelement <4 x float> %my, i32 1
  %z = extractelement <4 x float> %my, i32 2
  %t64 = zext i32 %tx to i64
  %slot = getelementptr <4 x float>, ptr %shared, i64 %t64
  br label %tile
tile:
  %base = phi i32 [ 0, %entry ], [ %bnext, %after ]
  %ax0 = phi float [ 0.0, %entry ], [ %ax2, %after ]
  %ay0 = phi float [ 0.0, %entry ], [ %ay2, %after ]
  %az0 = phi float [ 0.0, %entry ], [ %az2, %after ]
  %from = add i32 %base, %tx
  %f64 = sext i32 %from to i64
  %src = getelementptr <4 x float>, ptr %p, i64 %f64
  %v = load <4 x float>, ptr %src, align 16
  store <4 x float> %v, ptr %slot, align 16
  call void @vgpu.barrier(i32 0, i32 0)
  br label %inner
inner:
  %j = phi i32 [ 0, %tile ], [ %jnext, %inner ]
  %ax1 = phi float [ %ax0, %tile ], [ %ax2, %inner ]
  %ay1 = phi float [ %ay0, %tile ], [ %ay2, %inner ]
  %az1 = phi float [ %az0, %tile ], [ %az2, %inner ]
  %j64 = zext i32 %j to i64
  %q = getelementptr <4 x float>, ptr %shared, i64 %j64
  %o = load <4 x float>, ptr %q, align 16
  %ox = extractelement <4 x float> %o, i32 0
  %oy = extractelement <4 x float> %o, i32 1
  %oz = extractelement <4 x float> %o, i32 2
  %om = extractelement <4 x float> %o, i32 3
  %dx = fsub float %ox, %x
  %dy = fsub float %oy, %y
  %dz = fsub float %oz, %z
  %r0 = call float @llvm.fma.f32(float %dx, float %dx, float 0x3F847AE140000000)
  %r1 = call float @llvm.fma.f32(float %dy, float %dy, float %r0)
  %r2 = call float @llvm.fma.f32(float %dz, float %dz, float %r1)
  %s = call float @llvm.sqrt.f32(float %r2)
  %inv = fdiv float 1.0, %s
  %inv2 = fmul float %inv, %inv
  %inv3 = fmul float %inv2, %inv
  %f = fmul float %om, %inv3
  %ax2 = call float @llvm.fma.f32(float %dx, float %f, float %ax1)
  %ay2 = call float @llvm.fma.f32(float %dy, float %f, float %ay1)
  %az2 = call float @llvm.fma.f32(float %dz, float %f, float %az1)
  %jnext = add i32 %j, 1
  %again = icmp slt i32 %jnext, %nx
  br i1 %again, label %inner, label %after
after:
  call void @vgpu.barrier(i32 0, i32 0)
  %bnext = add i32 %base, %nx
  %more = icmp slt i32 %bnext, %n
  br i1 %more, label %tile, label %done
done:
  %po = getelementptr <4 x float>, ptr %out, i64 %i64
  %w0 = insertelement <4 x float> zeroinitializer, float %ax2, i32 0
  %w1 = insertelement <4 x float> %w0, float %ay2, i32 1
  %w2 = insertelement <4 x float> %w1, float %az2, i32 2
  store <4 x float> %w2, ptr %po, align 16
  ret void)" +
         closing();
}

// Sums of blocks: a grid-stride loop, shuffles in each warp, one value a warp in shared memory, the first
// warp sums those.
inline std::string reduction() {
  std::string body =
      opening(parameter("in", "ptr", 0) + parameter("out", "ptr", 8) + parameter("n", "i32", 16)) + R"(
  %stride = mul i32 %nx, %gx
  %first = icmp slt i32 %i, %n
  br i1 %first, label %loop, label %sum
loop:
  %k = phi i32 [ %i, %entry ], [ %knext, %loop ]
  %s = phi float [ 0.0, %entry ], [ %snext, %loop ]
  %k64 = sext i32 %k to i64
  %p = getelementptr float, ptr %in, i64 %k64
  %v = load float, ptr %p
  %snext = fadd float %s, %v
  %knext = add i32 %k, %stride
  %more = icmp slt i32 %knext, %n
  br i1 %more, label %loop, label %sum
sum:
  %w0 = phi float [ 0.0, %entry ], [ %snext, %loop ]
)";
  const auto shuffles = [&](const std::string& prefix, const std::string& start) {
    std::string value = start;
    for (int d = 16; d != 0; d /= 2) {
      const std::string s = prefix + std::to_string(d);
      body += "  %b" + s + " = bitcast float " + value + " to i32\n  %p" + s +
              " = call { i32, i1 } @vgpu.shfl(i32 1, i32 -1, i32 %b" + s + ", i32 " + std::to_string(d) +
              ", i32 31)\n  %e" + s + " = extractvalue { i32, i1 } %p" + s + ", 0\n  %f" + s +
              " = bitcast i32 %e" + s + " to float\n  %" + s + " = fadd float " + value + ", %f" + s + "\n";
      value = "%" + s;
    }
    return value;
  };
  const std::string warp = shuffles("w", "%w0");
  body += R"(
  %lane = and i32 %tx, 31
  %warp = lshr i32 %tx, 5
  %leader = icmp eq i32 %lane, 0
  br i1 %leader, label %put, label %wait
put:
  %w64 = zext i32 %warp to i64
  %ws = getelementptr float, ptr %shared, i64 %w64
  store float )" +
          warp + R"(, ptr %ws
  br label %wait
wait:
  call void @vgpu.barrier(i32 0, i32 0)
  %one = icmp ult i32 %tx, 32
  br i1 %one, label %last, label %end
last:
  %warps = lshr i32 %nx, 5
  %have = icmp ult i32 %tx, %warps
  br i1 %have, label %get, label %got
get:
  %l64 = zext i32 %tx to i64
  %ls = getelementptr float, ptr %shared, i64 %l64
  %lv = load float, ptr %ls
  br label %got
got:
  %z0 = phi float [ 0.0, %last ], [ %lv, %get ]
)";
  const std::string total = shuffles("z", "%z0");
  return body + R"(
  %root = icmp eq i32 %tx, 0
  br i1 %root, label %write, label %end
write:
  %o64 = zext i32 %bx to i64
  %o = getelementptr float, ptr %out, i64 %o64
  store float )" +
         total + R"(, ptr %o
  br label %end
end:
  ret void)" +
         closing();
}

// Iterations until |z| > 2, at most `limit`, of a width x height picture.
inline std::string mandelbrot() {
  return opening(parameter("out", "ptr", 0) + parameter("width", "i32", 8) + parameter("height", "i32", 12) +
                 parameter("limit", "i32", 16)) +
         R"(
  %ny = call i32 @vgpu.ntid.y()
  %j0 = mul i32 %by, %ny
  %j = add i32 %j0, %ty
  %okx = icmp slt i32 %i, %width
  %oky = icmp slt i32 %j, %height
  %ok = and i1 %okx, %oky
  br i1 %ok, label %work, label %end
work:
  %xf = sitofp i32 %i to float
  %yf = sitofp i32 %j to float
  %wf = sitofp i32 %width to float
  %hf = sitofp i32 %height to float
  %xr = fdiv float %xf, %wf
  %yr = fdiv float %yf, %hf
  %cx = call float @llvm.fma.f32(float %xr, float 3.0, float -2.0)
  %cy = call float @llvm.fma.f32(float %yr, float 2.0, float -1.0)
  br label %loop
loop:
  %it = phi i32 [ 0, %work ], [ %itnext, %loop ]
  %zx = phi float [ 0.0, %work ], [ %zxn, %loop ]
  %zy = phi float [ 0.0, %work ], [ %zyn, %loop ]
  %x2 = fmul float %zx, %zx
  %y2 = fmul float %zy, %zy
  %d = fsub float %x2, %y2
  %zxn = fadd float %d, %cx
  %t = fadd float %zx, %zx
  %zyn = call float @llvm.fma.f32(float %t, float %zy, float %cy)
  %itnext = add i32 %it, 1
  %m2 = fmul float %zxn, %zxn
  %m = call float @llvm.fma.f32(float %zyn, float %zyn, float %m2)
  %in = fcmp olt float %m, 4.0
  %less = icmp slt i32 %itnext, %limit
  %go = and i1 %in, %less
  br i1 %go, label %loop, label %done
done:
  %r0 = mul i32 %j, %width
  %r = add i32 %r0, %i
  %r64 = sext i32 %r to i64
  %o = getelementptr i32, ptr %out, i64 %r64
  store i32 %itnext, ptr %o
  br label %end
end:
  ret void)" +
         closing();
}

inline std::string nothing() { return opening("") + "  ret void" + closing(); }

}  // namespace vgpu::jit::bench
