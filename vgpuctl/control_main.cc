// vgpuctl-control: the commands that speak gRPC to a mediator (`ps`, `gpus`, `vgpus`). vgpuctl becomes this
// program, so that `vgpuctl run` never loads gRPC. What the mediator answers is printed with control
// characters removed, since programs' names in it come from guests.

#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "control.grpc.pb.h"
#include "vgpuctl/installation.h"

namespace vgpu::vgpuctl {
namespace {

namespace api = vgpu::control::v1;
using Row = std::vector<std::string>;

struct Options {
  std::string command, socket;
  bool json = false;
};

std::string printable(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text.empty() ? "-" : text;
}

std::string bytes(uint64_t count) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double amount = static_cast<double>(count);
  size_t unit = 0;
  for (; amount >= 1024 && unit < 4; ++unit) amount /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", amount, kUnits[unit]);
  return text;
}

std::string age(double seconds) {
  const auto whole = static_cast<uint64_t>(std::max(0.0, seconds));
  char text[32];
  std::snprintf(text, sizeof text, "%llu:%02llu:%02llu", static_cast<unsigned long long>(whole / 3600),
                static_cast<unsigned long long>(whole / 60 % 60),
                static_cast<unsigned long long>(whole % 60));
  return text;
}

void printTable(const std::vector<Row>& rows) {
  std::vector<size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 2, ' ');
    }
    std::puts(line.c_str());
  }
}

void printJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  if (google::protobuf::util::MessageToJsonString(message, &text, options).ok())
    std::fputs(text.c_str(), stdout);
}

std::string processes(const api::Session& session) {
  return std::to_string(session.peer_process() != 0 ? session.peer_process()
                                                    : static_cast<int>(session.guest_process()));
}

void printSessions(const api::ListSessionsResponse& answer) {
  std::vector<Row> rows = {
      {"SESSION", "PROGRAM", "PID", "UID", "VGPU", "CARRIER", "STATE", "AGE", "MEMORY", "CALLS", "ERRORS"}};
  for (const api::Session& session : answer.sessions()) {
    rows.push_back({std::to_string(session.id()), printable(session.program()), processes(session),
                    session.tenant() == "tcp" ? "-" : std::to_string(session.peer_uid()),
                    printable(session.vgpu()), printable(session.carrier()), printable(session.state()),
                    age(session.age_seconds()), bytes(session.allocated_bytes()),
                    std::to_string(session.calls()), std::to_string(session.errors())});
  }
  printTable(rows);
}

int printGpus(const api::ListGpusResponse& answer) {
  if (answer.gpus_size() == 0) {
    const std::string reason =
        answer.driver_failure().empty() ? "its driver has not reported yet" : answer.driver_failure();
    std::fprintf(stderr, "vgpuctl: the mediator has no device: %s\n", printable(reason).c_str());
    return 1;
  }
  std::vector<Row> rows = {
      {"GPU", "NAME", "UUID", "MEMORY", "IN USE", "COMPUTE", "MULTIPROCESSORS", "SESSIONS"}};
  for (const api::Gpu& gpu : answer.gpus()) {
    rows.push_back({std::to_string(gpu.index()), printable(gpu.name()), printable(gpu.uuid()),
                    bytes(gpu.memory_bytes()), bytes(gpu.allocated_bytes()),
                    std::to_string(gpu.compute_major()) + "." + std::to_string(gpu.compute_minor()),
                    std::to_string(gpu.multiprocessors()), std::to_string(gpu.sessions())});
  }
  printTable(rows);
  return 0;
}

void printVgpus(const api::VgpuList& list) {
  std::vector<Row> rows = {{"VGPU", "GPU", "PROFILE", "MEMORY", "IN USE", "SHARE", "SESSIONS", "HEALTH"}};
  for (const api::Vgpu& vgpu : list.vgpus()) {
    rows.push_back({printable(vgpu.name()), std::to_string(vgpu.gpu()), printable(vgpu.profile()),
                    bytes(vgpu.memory_bytes()), bytes(vgpu.used_bytes()),
                    std::to_string(vgpu.share_percent()) + " %", std::to_string(vgpu.sessions()),
                    vgpu.unhealthy().empty() ? "healthy" : printable(vgpu.unhealthy())});
  }
  printTable(rows);
}

// The socket that --control names, else the user's own mediator's, else the system's.
std::string findControlSocket(const Options& options) {
  if (!options.socket.empty()) return options.socket;
  const Result<RuntimeFolder> own = userRuntimeFolder(false);
  if (own && ::access(own.value().control().c_str(), F_OK) == 0) return own.value().control();
  return systemRuntimeFolder().control();
}

int explain(const grpc::Status& status, const std::string& socket) {
  if (::access(socket.c_str(), F_OK) != 0) {
    std::fprintf(stderr, "vgpuctl: no mediator is running (there is no %s)\n", socket.c_str());
  } else if (::access(socket.c_str(), W_OK) != 0) {
    std::fprintf(stderr, "vgpuctl: %s: only the mediator's own user may ask it\n", socket.c_str());
  } else {
    std::fprintf(stderr, "vgpuctl: the mediator at %s does not answer: %s\n", socket.c_str(),
                 printable(status.error_message()).c_str());
  }
  return 1;
}

int ask(const Options& options) {
  const std::string socket = findControlSocket(options);
  // Without this a mediator that is not there is tried again for a second and more.
  if (::access(socket.c_str(), W_OK) != 0) return explain(grpc::Status::OK, socket);
  auto stub =
      api::Control::NewStub(grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  if (options.command == "ps") {
    api::ListSessionsResponse answer;
    const grpc::Status status = stub->ListSessions(&context, api::ListSessionsRequest(), &answer);
    if (!status.ok()) return explain(status, socket);
    options.json ? printJson(answer) : printSessions(answer);
    return 0;
  }
  if (options.command == "vgpus") {
    api::VgpuList list;
    const auto reader = stub->WatchVgpus(&context, api::WatchVgpusRequest());
    if (!reader->Read(&list)) return explain(reader->Finish(), socket);
    context.TryCancel();
    options.json ? printJson(list) : printVgpus(list);
    return 0;
  }
  api::ListGpusResponse answer;
  const grpc::Status status = stub->ListGpus(&context, api::ListGpusRequest(), &answer);
  if (!status.ok()) return explain(status, socket);
  if (!options.json) return printGpus(answer);
  printJson(answer);
  return 0;
}

int main(int count, char** words) {
  Options options;
  options.command = count > 1 ? words[1] : "";
  bool understood = options.command == "ps" || options.command == "gpus" || options.command == "vgpus";
  for (int i = 2; i < count; ++i) {
    const std::string_view word = words[i];
    if (word == "--json") {
      options.json = true;
    } else if (word.starts_with("--control=")) {
      options.socket = word.substr(word.find('=') + 1);
    } else if (word == "--control" && i + 1 < count) {
      options.socket = words[++i];
    } else {
      understood = false;
    }
  }
  if (!understood) {
    const bool asked = count > 2 && std::string_view(words[2]) == "--help";
    std::fputs("usage: vgpuctl ps|gpus|vgpus [--json] [--control SOCKET]\n", asked ? stdout : stderr);
    return asked ? 0 : 2;
  }
  return ask(options);
}

}  // namespace
}  // namespace vgpu::vgpuctl

int main(int count, char** words) { return vgpu::vgpuctl::main(count, words); }
