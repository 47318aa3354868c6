"""What mutant.py says of patches that are no use."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import mutant  # noqa: E402

PATCH = """Breaks nothing but this file.

--- a/core/a.cc
+++ b/core/a.cc
@@ -1,3 +1,3 @@
 one
-two
+{}
 three
"""


class Copy(unittest.TestCase):
    def copy(self, source, patch):
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name)
            (root / "core").mkdir()
            (root / "core/a.cc").write_text(source)
            (root / "a.patch").write_text(patch)
            mutant.copy(root / "a.patch", root, root / "out")
            return (root / "out/state").read_text(), (root / "out/core/a.cc").read_text()

    def test_a_patch_that_applies_changes_the_copy(self):
        self.assertEqual(self.copy("one\ntwo\nthree\n", PATCH.format("2")), ("applied", "one\n2\nthree\n"))

    def test_a_stale_patch_is_named_and_leaves_the_source_as_it_is(self):
        state, text = self.copy("one\nzwei\nthree\n", PATCH.format("2"))
        self.assertIn("no longer applies", state)
        self.assertEqual(text, "one\nzwei\nthree\n")

    def test_a_patch_that_changes_nothing_is_named(self):
        state, _ = self.copy("one\ntwo\nthree\n", PATCH.format("two"))
        self.assertEqual(state, "the patch changes nothing")

    def test_a_stale_patch_fails_its_hunt_without_a_run(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "state").write_text("the patch no longer applies:\n")
            problem = mutant.hunt(pathlib.Path("x.patch"), folder, "/bin/true", "5")
            self.assertIn("x.patch: the patch no longer applies", problem)

    def test_a_variant_that_is_not_caught_is_named(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "state").write_text("applied")
            problem = mutant.hunt(pathlib.Path("x.patch"), folder, "/bin/false", "5")
            self.assertEqual(problem, "x.patch: not caught by seeds 1..5 (exit code 1)")


if __name__ == "__main__":
    unittest.main()
