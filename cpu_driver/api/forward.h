// Entry points made from lists: those that differ from another one only in the default stream that they mean,
// and those that this driver does not have. Types come from the vendor's declarations, so a wrong count does
// not compile.
#pragma once

#include <tuple>

#include "protocol/abi/cuda.h"

namespace vgpu::cpu {

template <class Function>
struct ArgumentsOf;
template <class... Arguments>
struct ArgumentsOf<CUresult(Arguments...)> {
  using Tuple = std::tuple<Arguments...>;
};
template <auto* Function, size_t index>
using Argument =
    std::tuple_element_t<index, typename ArgumentsOf<std::remove_pointer_t<decltype(Function)>>::Tuple>;

}  // namespace vgpu::cpu

#define VGPU_DECLARE_1(f) vgpu::cpu::Argument<&f, 0> a0
#define VGPU_DECLARE_2(f) VGPU_DECLARE_1(f), vgpu::cpu::Argument<&f, 1> a1
#define VGPU_DECLARE_3(f) VGPU_DECLARE_2(f), vgpu::cpu::Argument<&f, 2> a2
#define VGPU_DECLARE_4(f) VGPU_DECLARE_3(f), vgpu::cpu::Argument<&f, 3> a3
#define VGPU_DECLARE_5(f) VGPU_DECLARE_4(f), vgpu::cpu::Argument<&f, 4> a4
#define VGPU_DECLARE_6(f) VGPU_DECLARE_5(f), vgpu::cpu::Argument<&f, 5> a5
#define VGPU_DECLARE_7(f) VGPU_DECLARE_6(f), vgpu::cpu::Argument<&f, 6> a6
#define VGPU_DECLARE_8(f) VGPU_DECLARE_7(f), vgpu::cpu::Argument<&f, 7> a7
#define VGPU_DECLARE_9(f) VGPU_DECLARE_8(f), vgpu::cpu::Argument<&f, 8> a8
#define VGPU_DECLARE_10(f) VGPU_DECLARE_9(f), vgpu::cpu::Argument<&f, 9> a9
#define VGPU_DECLARE_11(f) VGPU_DECLARE_10(f), vgpu::cpu::Argument<&f, 10> a10

#define VGPU_PASS_1 a0
#define VGPU_PASS_2 VGPU_PASS_1, a1
#define VGPU_PASS_3 VGPU_PASS_2, a2
#define VGPU_PASS_4 VGPU_PASS_3, a3
#define VGPU_PASS_5 VGPU_PASS_4, a4
#define VGPU_PASS_6 VGPU_PASS_5, a5
#define VGPU_PASS_7 VGPU_PASS_6, a6
#define VGPU_PASS_8 VGPU_PASS_7, a7
#define VGPU_PASS_9 VGPU_PASS_8, a8
#define VGPU_PASS_10 VGPU_PASS_9, a9
#define VGPU_PASS_11 VGPU_PASS_10, a10
