// clang's CUDA wrapper header includes this one of cuRAND's unconditionally; the test programs use no cuRAND.
#pragma once
