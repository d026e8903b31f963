// Session: the guest process's one connection to its executor, and everything the guest knows about it. Made
// by cuInit, lives until the process ends (it is never destroyed: CUDA is called after static destructors
// have run). Any thread. What comes from the executor is checked before it is used.
#pragma once

#include <memory>
#include <vector>

#include "base/mapping.h"
#include "protocol/marshal/hello.h"
#include "shim/session/address_space.h"
#include "shim/session/allocations.h"
#include "shim/session/handle_table.h"
#include "shim/session/memory_pool.h"
#include "shim/session/objects.h"
#include "shim/session/thread_state.h"
#include "transport/ring/guest_channel.h"

namespace vgpu::shim {

using protocol::Kind;

// What every call answers once the session is lost.
constexpr CUresult kSessionLost = CUDA_ERROR_DEVICE_UNAVAILABLE;

class Session {
 public:
  // Connects on the first call; later calls answer as the first did. On failure one line on stderr says what
  // to do.
  static CUresult start();
  // The session of this process: null before start(), after a failed one, and in a forked child.
  static Session* get() { return current_.load(std::memory_order_acquire); }

  transport::GuestChannel& channel() { return *channel_; }
  const protocol::Welcome& welcome() const { return welcome_; }
  const std::vector<protocol::DeviceInfo>& devices() const { return devices_; }
  bool strict() const { return strict_; }
  bool hasRow(uint16_t number) const { return protocol::hasRow(welcome_, number); }

  AddressSpace& addresses() { return *addresses_; }
  Allocations& allocations() { return allocations_; }
  MemoryPools& pools() { return pools_; }

  // The handle of the primary context of `device`: always the same.
  Context& primary(int device) { return *primaries_[static_cast<size_t>(device)]; }
  // The context's own default streams.
  Stream& legacyStream(Context& context) { return *context.legacy; }
  Stream& perThreadStream(Context& context);
  // A place for a stream's retired number; kNoSlotYet when all are taken.
  uint32_t takeSlot();
  void returnSlot(uint32_t slot);
  uint64_t nextId() { return ids_.fetch_add(1, std::memory_order_relaxed); }
  uint32_t nextBlob() { return blobs_.fetch_add(1, std::memory_order_relaxed); }

  HandleTable<Context, Kind::Context> contexts;
  HandleTable<Stream, Kind::Stream> streams;
  HandleTable<Event, Kind::Event> events;
  HandleTable<Module, Kind::Module> modules;
  HandleTable<Function, Kind::Function> functions;
  HandleTable<Library, Kind::Library> libraries;
  HandleTable<Function, Kind::Kernel> kernels;
  HandleTable<Array, Kind::Array> arrays;
  HandleTable<MipmappedArray, Kind::MipmappedArray> mipmappedArrays;
  HandleTable<Link, Kind::Link> links;
  HandleTable<Physical, Kind::Physical> physicals;
  HandleTable<Graph, Kind::Graph> graphs;

 private:
  Session() = default;
  static inline std::atomic<Session*> current_{nullptr};
  static CUresult connectOnce();
  CUresult connect();
  CUresult acceptWelcome(std::span<const std::byte> bytes);
  void reserveCandidates(protocol::Hello& hello);

  std::unique_ptr<transport::GuestChannel> channel_;
  protocol::Welcome welcome_{};
  std::vector<protocol::DeviceInfo> devices_;
  std::vector<Mapping>
      candidates_;  // by index of protocol::kRangeCandidates; all but the chosen one are given back
  std::unique_ptr<AddressSpace> addresses_;
  Allocations allocations_;
  MemoryPools pools_;
  std::vector<Context*> primaries_;
  bool strict_ = false;
  std::atomic<uint64_t> ids_{1};
  std::atomic<uint32_t> blobs_{1};
  std::mutex slotsMutex_;
  std::vector<uint32_t> freeSlots_;
  uint32_t usedSlots_ = 0;
};

// A context object with its legacy stream, entered in the session's table.
Context* makeContext(Session& session, int device, bool primary);

}  // namespace vgpu::shim
