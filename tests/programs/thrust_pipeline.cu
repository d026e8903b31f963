// A Thrust pipeline from host vector to host vector: generate, transform, sort by key, reduce by key, unique,
// scan.
#include <thrust/copy.h>
#include <thrust/device_vector.h>
#include <thrust/execution_policy.h>
#include <thrust/functional.h>
#include <thrust/host_vector.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/zip_iterator.h>
#include <thrust/reduce.h>
#include <thrust/scan.h>
#include <thrust/sequence.h>
#include <thrust/sort.h>
#include <thrust/transform.h>
#include <thrust/transform_reduce.h>
#include <thrust/unique.h>

#include <map>

#include "tests/support/check.h"

constexpr int kCount = 50'000, kBuckets = 97;

struct Bucket {
  __host__ __device__ int operator()(int i) const { return int((i * 2654435761u) % kBuckets); }
};

struct Square {
  __host__ __device__ long long operator()(int value) const { return (long long)value * value; }
};

struct Descending {
  __host__ __device__ double operator()(int i) const { return 1000.0 - i; }
};

int main() {
  thrust::device_vector<int> keys(kCount), values(kCount);
  thrust::sequence(values.begin(), values.end());
  thrust::transform(values.begin(), values.end(), keys.begin(), Bucket{});
  const long long squares =
      thrust::transform_reduce(values.begin(), values.end(), Square{}, 0LL, thrust::plus<long long>());
  EXPECT(squares == 41665416675000LL, "the squares sum to %lld", squares);

  thrust::stable_sort_by_key(keys.begin(), keys.end(), values.begin());
  thrust::device_vector<int> distinct(kBuckets), sums(kBuckets);
  const auto ends =
      thrust::reduce_by_key(keys.begin(), keys.end(), values.begin(), distinct.begin(), sums.begin());
  std::map<int, int> wanted;
  for (int i = 0; i < kCount; ++i) wanted[Bucket{}(i)] += i;
  EXPECT(ends.first - distinct.begin() == long(wanted.size()), "%ld distinct keys",
         long(ends.first - distinct.begin()));
  const thrust::host_vector<int> hostDistinct = distinct, hostSums = sums;
  size_t at = 0;
  for (const auto& [key, sum] : wanted) {
    EXPECT(hostDistinct[at] == key && hostSums[at] == sum, "bucket %d sums to %d instead of %d", key,
           hostSums[at], sum);
    ++at;
  }

  thrust::device_vector<int> unique = keys;
  const long left = thrust::unique(unique.begin(), unique.end()) - unique.begin();
  EXPECT(left == long(wanted.size()), "%ld keys left by unique", left);

  thrust::device_vector<int> scanned(kCount);
  thrust::exclusive_scan(keys.begin(), keys.end(), scanned.begin(), 100);
  const thrust::host_vector<int> hostKeys = keys, hostScanned = scanned;
  for (int i = 0, sum = 100; i < kCount; sum += hostKeys[i++]) {
    EXPECT(hostScanned[i] == sum, "scan at %d is %d instead of %d", i, hostScanned[i], sum);
  }

  thrust::device_vector<double> doubles(1000);
  thrust::transform(thrust::counting_iterator<int>(0), thrust::counting_iterator<int>(1000), doubles.begin(),
                    Descending{});
  thrust::sort(doubles.begin(), doubles.end());
  EXPECT(doubles[0] == 1 && doubles[999] == 1000, "sorted doubles from %g to %g", double(doubles[0]),
         double(doubles[999]));
  return check::ok("thrust_pipeline: %zu buckets", wanted.size());
}
