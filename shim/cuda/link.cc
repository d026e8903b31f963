// cuLink*: pieces travel as blobs, the executor's driver links, the result comes back as an image.
#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/cuda/image.h"
#include "shim/session/shared_state.h"

namespace vgpu::shim {
namespace {

struct Linking {
  JitRequest jit;
  std::vector<std::byte> image;
};
constinit SharedState<std::map<const Link*, Linking>> linkings;

CUresult enterLink(Submission& submission, CUlinkState value, Link*& link) {
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  link = submission.session->links.find(value);
  return link ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult read(const Submission& submission, const Link& link, uint32_t what, MutableBytes into) {
  const size_t pieceBytes = submission.session->channel().limits().slotBytes;
  for (size_t offset = 0; offset < into.size(); offset += pieceBytes) {
    const MutableBytes piece = into.subspan(offset, std::min(pieceBytes, into.size() - offset));
    const protocol::messages::LinkRead message{link.handle.bits(), offset, piece.size(), what, 0};
    const Answer answer = call(submission, protocol::call::LinkRead, asBytes(message), piece);
    if (answer.status != CUDA_SUCCESS) return answer.status;
    if (answer.payloadBytes != piece.size()) return CUDA_ERROR_UNKNOWN;
  }
  return CUDA_SUCCESS;
}

CUresult add(CUlinkState value, CUjitInputType type, Bytes data, const char* name) {
  Submission submission;
  Link* link;
  if (const CUresult status = enterLink(submission, value, link); status != CUDA_SUCCESS) return status;
  protocol::messages::LinkAdd message{link->handle.bits(), static_cast<uint32_t>(type), 0};
  if (const CUresult status = sendImage(submission, data, message.blob); status != CUDA_SUCCESS)
    return status;
  std::array<std::byte, protocol::kMaxNameBytes + 64> space;
  Encoder arguments(space);
  arguments.put(message);
  arguments.putString(name ? std::string_view(name, ::strnlen(name, protocol::kMaxNameBytes))
                           : std::string_view());
  return call(submission, protocol::call::LinkAdd, arguments.bytes()).status;
}

}  // namespace
}  // namespace vgpu::shim

using namespace vgpu::shim;
namespace call_number = vgpu::protocol::call;

VGPU_EXPORT CUresult cuLinkCreate_v2(unsigned count, CUjit_option* options, void** values, CUlinkState* out) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  JitRequest jit;
  if (const CUresult status = jit.read(count, options, values); status != CUDA_SUCCESS) return status;
  auto* link = new Link;
  link->handle = submission.session->links.insert(link);
  const CUresult status = callMessage<call_number::LinkCreate>(submission, {link->handle.bits(), jit.wire});
  if (status != CUDA_SUCCESS) {
    delete submission.session->links.remove(link->handle);
    return status;
  }
  (*linkings.lock())[link].jit = jit;
  *out = reinterpret_cast<CUlinkState>(link->handle.bits());
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void* data, size_t sizeBytes,
                                      const char* name, unsigned, CUjit_option*, void**) {
  if (!data || sizeBytes == 0) return CUDA_ERROR_INVALID_VALUE;
  return add(state, type, {static_cast<const std::byte*>(data), sizeBytes}, name);
}

VGPU_EXPORT CUresult cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char* path, unsigned,
                                      CUjit_option*, void**) {
  std::vector<std::byte> bytes;
  if (const CUresult status = readFile(path, bytes); status != CUDA_SUCCESS) return status;
  return add(state, type, bytes, path);
}

VGPU_EXPORT CUresult cuLinkComplete(CUlinkState value, void** image, size_t* sizeBytes) {
  Submission submission;
  Link* link;
  if (const CUresult status = enterLink(submission, value, link); status != CUDA_SUCCESS) return status;
  if (!image) return CUDA_ERROR_INVALID_VALUE;
  vgpu::protocol::messages::LinkCompleteReply reply{};
  const CUresult status = callMessage<call_number::LinkComplete>(submission, {link->handle.bits()}, reply);
  const auto all = linkings.lock();
  Linking& linking = (*all)[link];
  const uint32_t errorBytes = std::min(reply.errorLogBytes, linking.jit.wire.errorLogBytes);
  const uint32_t infoBytes = std::min(reply.infoLogBytes, linking.jit.wire.infoLogBytes);
  std::vector<std::byte> logs(size_t{errorBytes} + infoBytes);
  if (read(submission, *link, 1, MutableBytes(logs).first(errorBytes)) == CUDA_SUCCESS &&
      read(submission, *link, 2, MutableBytes(logs).subspan(errorBytes)) == CUDA_SUCCESS) {
    linking.jit.deliver(logs, errorBytes, infoBytes);
  }
  if (status != CUDA_SUCCESS) return status;
  if (reply.imageBytes > vgpu::protocol::kMaxImageBytes) return CUDA_ERROR_UNKNOWN;
  linking.image.resize(reply.imageBytes);
  if (const CUresult got = read(submission, *link, 0, linking.image); got != CUDA_SUCCESS) return got;
  *image = linking.image.data();
  if (sizeBytes) *sizeBytes = linking.image.size();
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuLinkDestroy(CUlinkState value) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  const Link* link = session->links.find(value);
  const CUresult status = Forward<call_number::cuLinkDestroy>::call(value);
  if (status == CUDA_SUCCESS) linkings.lock()->erase(link);
  return status;
}
