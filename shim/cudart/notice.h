// The one thing the runtime ever prints: a line on stderr, once a name, that a call is not supported and why.
// Silent with VGPU_LOG=off. Any thread; needs nothing that a static destructor could have taken away.
#pragma once

namespace vgpu::cudart {

// `name` must live as long as the process: it is remembered by address.
void noticeOnce(const char* name, const char* reason);

}  // namespace vgpu::cudart
