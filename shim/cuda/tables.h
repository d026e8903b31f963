// Which of the session's tables holds the objects of a kind.
#pragma once

#include "shim/session/session.h"

namespace vgpu::shim {

template <Kind kind>
auto& tableOf(Session& session) {
  if constexpr (kind == Kind::Context) return session.contexts;
  if constexpr (kind == Kind::Stream) return session.streams;
  if constexpr (kind == Kind::Event) return session.events;
  if constexpr (kind == Kind::Module) return session.modules;
  if constexpr (kind == Kind::Function) return session.functions;
  if constexpr (kind == Kind::Library) return session.libraries;
  if constexpr (kind == Kind::Kernel) return session.kernels;
  if constexpr (kind == Kind::Array) return session.arrays;
  if constexpr (kind == Kind::MipmappedArray) return session.mipmappedArrays;
  if constexpr (kind == Kind::Link) return session.links;
  if constexpr (kind == Kind::Physical) return session.physicals;
  if constexpr (kind == Kind::Graph) return session.graphs;
}

template <Kind kind>
struct ObjectOfKind;
template <>
struct ObjectOfKind<Kind::Context> {
  using Type = Context;
};
template <>
struct ObjectOfKind<Kind::Event> {
  using Type = Event;
};
template <>
struct ObjectOfKind<Kind::Module> {
  using Type = Module;
};
template <>
struct ObjectOfKind<Kind::Array> {
  using Type = Array;
};
template <>
struct ObjectOfKind<Kind::MipmappedArray> {
  using Type = MipmappedArray;
};
template <>
struct ObjectOfKind<Kind::Graph> {
  using Type = Graph;
};
template <>
struct ObjectOfKind<Kind::Physical> {
  using Type = Physical;
};
template <>
struct ObjectOfKind<Kind::Link> {
  using Type = Link;
};

template <Kind kind>
using ObjectOf = ObjectOfKind<kind>::Type;

}  // namespace vgpu::shim
