"""The cache of compiled kernels is a help and no more: absent, damaged or closed, programs compute."""
import os
import pathlib
import unittest

from scenario import Scenario


class Cache(Scenario):
    def run_with(self, cache):
        mediator = self.mediator(cache=cache)
        self.assertOk(mediator.run(self.program("reduction")))
        mediator.stop()

    def files(self, cache):
        return [path for path in cache.rglob("*") if path.is_file()]

    def test_given_an_empty_cache_then_kernels_are_kept_and_found_again(self):
        cache = self.temporary_folder() / "cache"
        self.run_with(cache)
        kept = {path.name for path in self.files(cache)}
        self.assertTrue(kept)
        self.run_with(cache)
        self.assertLessEqual(kept, {path.name for path in self.files(cache)})

    def test_given_damaged_entries_then_programs_still_compute(self):
        for damage in (b"", b"garbage", b"\0" * 100_000):
            with self.subTest(damage=damage[:8]):
                cache = self.temporary_folder() / "cache"
                self.run_with(cache)
                for path in self.files(cache):
                    path.write_bytes(damage)
                self.run_with(cache)

    def test_given_single_flipped_bytes_then_programs_still_compute(self):
        cache = self.temporary_folder() / "cache"
        self.run_with(cache)
        for path in self.files(cache):
            data = bytearray(path.read_bytes())
            for at in range(len(data) // 3, len(data), max(1, len(data) // 3)):
                data[at] ^= 0x40
            path.write_bytes(data)
        self.run_with(cache)

    def test_given_a_cache_that_cannot_be_written_then_programs_compute(self):
        self.run_with(pathlib.Path("/proc/vgpu-cache"))
        taken = self.temporary_folder() / "taken"
        taken.write_text("a file stands where the folder should be")
        self.run_with(taken)


if __name__ == "__main__":
    unittest.main()
