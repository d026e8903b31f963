// How a session starts: what the driver has, the range of addresses that both sides hold, the welcome. Main
// thread, before the dispatcher runs. The hello is the guest's and is checked here.
#pragma once

#include <span>
#include <vector>

#include "base/mapping.h"
#include "mediator/executor/driver.h"
#include "mediator/link/executor_arguments.h"
#include "mediator/link/session_assignment.h"
#include "protocol/marshal/hello.h"

namespace vgpu::executor {

struct SessionDevices {
  int driverVersion = 0;
  uint64_t granularityBytes = 0;
  std::vector<protocol::DeviceInfo> devices;
};

// Initialises the driver and asks it about its devices.
Result<SessionDevices> describeDevices(const Driver& driver);
link::DriverReport reportOf(const SessionDevices& devices);

// Fails by name when the guest's hello is no hello.
Result<protocol::Hello> readHello(std::span<const std::byte> bytes);

// A range that the guest holds and that is free here as well, reserved.
Result<Mapping> reserveRange(const protocol::Hello& hello);

// Welcome and DeviceInfo[], as it is sent.
std::vector<std::byte> makeWelcome(const Driver& driver, const SessionDevices& devices, const Mapping& range,
                                   uint64_t sessionId);

}  // namespace vgpu::executor
