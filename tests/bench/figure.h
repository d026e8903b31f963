// One measured figure beside the floor that it is judged by, printed as one line of JSON for tools/bench.
#pragma once

#include <cstdio>
#include <string>

namespace vgpu::bench {

enum class Bound { AtMost, AtLeast };  // of the ratio value / floor

struct Figure {
  std::string name;
  double value;
  const char* unit;  // "s" or "B/s" or "1/s"
  double floor;
  std::string floorName;
  Bound bound;
  double must;  // ratio
};

inline void print(const Figure& figure) {
  const double ratio = figure.value / figure.floor;
  const bool holds = figure.bound == Bound::AtMost ? ratio <= figure.must : ratio >= figure.must;
  std::printf(
      "{\"name\": \"%s\", \"value\": %.9g, \"unit\": \"%s\", \"floor\": %.9g, \"floor_name\": \"%s\", "
      "\"ratio\": %.4g, \"must\": \"%s %.3g\", \"holds\": %s}\n",
      figure.name.c_str(), figure.value, figure.unit, figure.floor, figure.floorName.c_str(), ratio,
      figure.bound == Bound::AtMost ? "<=" : ">=", figure.must, holds ? "true" : "false");
  std::fflush(stdout);
}

}  // namespace vgpu::bench
