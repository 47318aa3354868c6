"""Shows that the checks of this folder can fail: each rule is broken in a small tree of its own.

    checks_test.py COMPILER
"""

import pathlib
import sys
import tempfile
import unittest
from unittest import mock

import include_arrows
import one_place
import public_headers
import references
import source_files
import tidy_tree

COMPILER = "c++"


class Tree(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self._folder.name)

    def tearDown(self):
        self._folder.cleanup()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def assert_one(self, problems, *words):
        self.assertEqual(len(problems), 1, problems)
        for word in words:
            self.assertIn(word, problems[0])


class IncludeArrows(Tree):
    def include(self, name, *includes):
        self.write(name, "".join(f'#include "{include}"\n' for include in includes))

    def test_allowed_includes_are_no_problem(self):
        self.include("server/values/a.cc", "server/core/b.h", "common/wire/c.h", "absl/x.h")
        self.include("client/dist/a.cc", "kvstore/kvstore.h", "common/transport/t.h")
        self.include("examples/digits/main.cc", "kvstore/kvstore.h", "examples/digits/data.h")
        self.include("common/wire/a.h", "common/cluster/identity.h", "kvstore/v1/data.pb.h")
        self.assertEqual(include_arrows.check(self.root), [])

    def test_client_and_server_never_meet(self):
        self.include("client/dist/a.cc", "server/core/b.h")
        self.assert_one(include_arrows.check(self.root), "client/dist/a.cc:1", "server/core/b.h")
        self.include("client/dist/a.cc")
        self.include("server/service/a.cc", "client/core/client_core.h")
        self.assert_one(include_arrows.check(self.root), "server/service/a.cc:1")

    def test_the_server_does_not_use_the_public_headers(self):
        self.include("server/core/a.cc", "kvstore/ndarray.h")
        self.assert_one(include_arrows.check(self.root), "sdk")

    def test_plugins_see_a_public_header_and_the_daemon_alone_uses_them(self):
        self.include("server/plugin/a.cc", "kvstore/updater_plugin.h", "server/values/b.h")
        self.include("server/daemon/a.cc", "server/plugin/b.h")
        self.assertEqual(include_arrows.check(self.root), [])
        self.include("server/node/a.cc", "server/plugin/b.h")
        self.assert_one(include_arrows.check(self.root), "server/node/a.cc:1")

    def test_only_the_embedded_server_uses_the_public_headers_and_nobody_uses_it(self):
        self.include("server/embedded/a.cc", "kvstore/server.h", "server/daemon/b.h")
        self.assertEqual(include_arrows.check(self.root), [])
        self.include("server/embedded/a.cc", "client/array/ndarray_impl.h")
        self.assert_one(include_arrows.check(self.root), "client/array/ndarray_impl.h")
        self.include("server/embedded/a.cc")
        self.include("server/daemon/a.cc", "server/embedded/b.h")
        self.assert_one(include_arrows.check(self.root), "server/daemon/a.cc:1")
        self.include("server/daemon/a.cc")
        self.include("client/dist/a.cc", "server/embedded/b.h")
        self.assert_one(include_arrows.check(self.root), "client/dist/a.cc:1")

    def test_the_drawing_has_an_arrow_unless_others_imply_it(self):
        self.include("server/core/a.cc", "common/wire/b.h", "common/base/c.h")
        self.include("common/wire/b.h", "common/base/c.h")
        self.include("common/base/c.h", "vector")
        drawn = include_arrows.drawing(self.root)
        self.assertIn("3 folders with code and 3 arrows, of which 2 are drawn", drawn)
        self.assertEqual([line.strip() for line in drawn.splitlines() if "-->" in line],
                         ["common_wire --> common_base", "server_core --> common_wire"])

    def test_common_knows_nobody_above_it(self):
        self.include("common/wire/a.h", "common/transport/transport.h")
        self.assert_one(include_arrows.check(self.root), "common/wire")
        self.include("common/wire/a.h", "server/core/a.h")
        self.assert_one(include_arrows.check(self.root), "server/core")

    def test_inside_the_server_arrows_point_down(self):
        self.include("server/core/a.h", "server/values/b.h")
        self.assert_one(include_arrows.check(self.root), "server/values")

    def test_cores_are_pure(self):
        self.include("client/core/a.h", "common/transport/transport.h")
        self.assert_one(include_arrows.check(self.root), "client/core/a.h:1")
        self.include("client/core/a.h")
        self.include("server/core/a.h", "common/transport/transport.h")
        self.assert_one(include_arrows.check(self.root), "server/core/a.h:1")

    def test_examples_show_only_the_sdk(self):
        self.include("examples/digits/main.cc", "common/base/hash.h")
        self.assert_one(include_arrows.check(self.root), "common/base/hash.h")

    def test_a_new_folder_must_be_listed(self):
        self.include("common/novelty/a.h")
        self.assert_one(include_arrows.check(self.root), "not in ARROWS")
        self.include("common/novelty/a.h")
        self.include("server/core/a.h", "common/novelty/a.h")
        self.assertEqual(len(include_arrows.check(self.root)), 2)


class PublicHeaders(Tree):
    def check(self):
        return public_headers.check(self.root, COMPILER)

    def test_a_good_header_passes(self):
        self.write("kvstore/a.h", "#pragma once\n#include <vector>\ninline std::vector<int> v;\n")
        self.write("kvstore/b.h", '#pragma once\n#include "kvstore/a.h"\n')
        self.assertEqual(self.check(), [])

    def test_an_empty_folder_is_a_problem(self):
        self.assert_one(self.check(), "no header")

    def test_a_header_for_c_is_c(self):
        self.write("kvstore/updater_plugin.h", "#pragma once\n#include <stdint.h>\nint32_t f(void);\n")
        self.assertEqual(self.check(), [])
        self.write("kvstore/updater_plugin.h", "#pragma once\ninline bool f() { return true; }\n")
        self.assert_one(self.check(), "does not compile alone (-std=c99)")
        self.write("kvstore/updater_plugin.h", "#pragma once\n#include <vector>\n")
        problems = self.check()
        self.assertIn("includes vector; users have only the C standard library", problems[0])

    def test_third_party_includes_are_refused(self):
        self.write("kvstore/a.h", "#pragma once\n#include <sys/types.h>\n")
        self.assert_one(self.check(), "sys/types.h")

    def test_a_header_that_needs_another_does_not_compile_alone(self):
        self.write("kvstore/a.h", "#pragma once\ninline std::vector<int> v;\n")
        self.assert_one(self.check(), "does not compile alone")

    def test_cpp20_is_refused(self):
        self.write("kvstore/a.h", "#pragma once\ntemplate <typename T> concept C = true;\n")
        self.assert_one(self.check(), "does not compile alone")

    def test_a_header_without_guard_is_refused(self):
        self.write("kvstore/a.h", "struct A {};\n")
        self.assertTrue(any("does not compile alone" in problem for problem in self.check()))


class OnePlace(Tree):
    def test_a_method_is_named_in_one_file(self):
        self.write("common/transport/methods.h", 'const char k[] = "/kvstore.v1.Data/Shard";\n')
        self.write("server/service/a.h", "int a;  // of \"/kvstore.v1.Data/Shard\"\n")
        self.write("tests/server/a.cc", 'Dial("/kvstore.v1.Data/Shard0");\n')
        self.assertEqual(one_place.check(self.root), [])
        self.write("server/service/a.cc", '\nDial("/kvstore.v1.Data/Shard0");\n')
        self.assert_one(one_place.check(self.root), "server/service/a.cc:2", "methods.h")

    def test_a_transport_is_made_in_one_place(self):
        self.write("common/transport/factory/a.cc", "GrpcTransport t;\n")
        self.write("common/transport/grpc/a.cc", "GrpcTransport t;\n")
        self.assertEqual(one_place.check(self.root), [])
        self.write("cli/a.cc", "GrpcTransport t;\n")
        self.assert_one(one_place.check(self.root), "cli/a.cc:1", "MakeTransport")


    def test_variables_are_read_by_the_configuration(self):
        self.write("common/config/a.cc", 'std::getenv("KVSTORE_RANK");\n')
        self.write("cli/a.cc", 'environment["DMLC_ROLE"] = role;\n')
        self.write("client/a.cc", 'Say("set KVSTORE_SCHEDULER=HOST:PORT");\n')
        self.assertEqual(one_place.check(self.root), [])
        self.write("client/a.cc", 'std::getenv(name);\n')
        self.assert_one(one_place.check(self.root), "client/a.cc:1", "Config")
        self.write("client/a.cc", 'lookup("DMLC_ROLE");\n')
        self.assert_one(one_place.check(self.root), "client/a.cc:1", "setting_table.cc")


class References(Tree):
    def stop(self, stop, code=None):
        self.write("docs/life_of_a_push.md", f"1. `{stop}` happens.\n")
        if code is not None:
            self.write("server/a.cc", code)
        return references.check(self.root)

    def test_a_stop_is_a_function_that_its_file_defines(self):
        for body in ("void A::Go(int x) {\n}\n", "absl::StatusOr<int> Go() {}\n",
                     "bool A::B::Go(const F& f) const KVS_REQUIRES(mutex_) {}\n",
                     "template <>\nT Go<T>(int x) {}\n", "  int Go() const { return 1; }\n"):
            self.assertEqual(self.stop("server/a.cc:Go", body), [], body)
        for body in ("void B::GoOn() {}\n", "void Go(int x);\n", "// void Go() {}\n",
                     "void F() { if (Go(1)) { return a.Go(2); } }\n", 'P("Go() {}");\n'):
            self.assert_one(self.stop("server/a.cc:Go", body), "life_of_a_push.md:1", "Go")
        self.assert_one(self.stop("server/b.cc:Go"), "server/b.cc is not there")

    def test_a_walk_without_stops_is_a_problem(self):
        self.write("docs/life_of_a_push.md", "It arrives.\n")
        self.assert_one(references.check(self.root), "file:Function")

    def test_tests_that_are_named_for_a_sentence_are_there(self):
        self.write("tests/a_test.cc", 'TEST_CASE("it holds", "[a]") {}\nTEST_CASE(\n    "it holds "\n'
                                      '    "on and on",\n    "[a]") {}\n')
        self.write("docs/semantics.md", '| s | test |\n|---|---|\n| so "it" is | "it holds", '
                                        '"it holds on and on" |\n')
        self.assertEqual(references.check(self.root), [])
        self.write("docs/semantics.md", '| so it is | "it held" |\n')
        self.assert_one(references.check(self.root), "semantics.md:1", "it held")

    def test_links_lead_somewhere(self):
        self.write("docs/a.md", "# One, two\n[b](../b.md) [c](#one-two) [w](https://x.org/y.md)\n")
        self.write("b.md", "[a](docs/a.md#one-two)\n")
        self.assertEqual(references.check(self.root), [])
        self.write("b.md", "[a](docs/a.md#three)\n")
        self.assert_one(references.check(self.root), "b.md:1", "no such heading")
        self.write("b.md", "\n[a](a.txt)\n")
        self.assert_one(references.check(self.root), "b.md:2", "a.txt", "nowhere")

    def test_files_that_are_named_are_there(self):
        self.write("server/core/a.h", "// See a.h, core/b.cc, `server/core/b.{h,cc}`, docs/0007.\n")
        self.write("server/core/b.h", "int x;  // of server/core; <hwy/highway.h>, data.pb.h\n")
        self.write("server/core/b.cc", 'Open("gone.h");\n')
        self.write("docs/0007-why.md", "`b.cc`, tests, https://x.org/gone.h\n")
        self.assertEqual(references.check(self.root), [])
        for text, name in (("see c.h", "c.h"), ("`core/c.cc`", "core/c.cc"),
                           ("server/gone, long since", "server/gone"), ("b.{h,py}", "b.py"),
                           ("design/x", "design/x")):
            self.write("server/core/a.h", f"int y;\n// {text}\n")
            self.assert_one(references.check(self.root), "server/core/a.h:2", name)
            self.write("server/core/a.h", "")
            self.write("README.md", text)
            self.assert_one(references.check(self.root), "README.md:1", name)
            self.write("README.md", "")

    def test_members_that_are_named_are_there(self):
        self.write("a.h", "class A { void Go(); };  // A::Go, std::gone, Elsewhere::Gone\n")
        self.assertEqual(references.check(self.root), [])
        self.write("README.md", "`A::Gone`\n")
        self.assert_one(references.check(self.root), "README.md:1", "Gone")


class SourceFiles(Tree):
    def with_git(self, answers):
        """`git` answers what is in the dictionary, and fails otherwise."""
        return mock.patch.object(source_files, "git",
                                 lambda root, *arguments: answers.get(" ".join(arguments)))

    def test_without_git_all_files_that_lie_there_are_meant(self):
        for name in ("a/b.cc", "a/b.h", "a/c.py", "build/x.cc"):
            self.write(name, "")
        with self.with_git({}):
            self.assertEqual(source_files.all_files(self.root), ["a/b.cc", "a/b.h"])
            self.assertEqual(source_files.base_of(self.root), (None, "no history"))

    def test_a_branch_is_compared_with_where_it_left_the_trunk(self):
        with self.with_git({"rev-parse HEAD": "head\n", "merge-base main HEAD": "fork\n"}):
            self.assertEqual(source_files.base_of(self.root)[0], "fork")

    def test_the_trunk_is_compared_with_its_last_commits(self):
        count = source_files.TRUNK_COMMITS + 1
        rev_list = f"rev-list --first-parent --max-count={count} HEAD"
        answers = {"rev-parse HEAD": "head\n", "merge-base main HEAD": "head\n",
                   rev_list: "head\nb\na\n"}
        with self.with_git(answers):
            self.assertEqual(source_files.base_of(self.root), ("a", "of the last 2 commits"))
        with self.with_git({**answers, rev_list: "head\n"}):  # a clone without history
            self.assertIsNone(source_files.base_of(self.root)[0])

    def test_what_changed_last_comes_first_and_what_is_gone_does_not_count(self):
        for name in ("old.cc", "new.h", "edited.cc"):
            self.write(name, "")
        answers = {"diff --name-only HEAD": "edited.cc\nnotes.md\n",
                   "log --format= --name-only base..HEAD": "new.h\ngone.cc\nold.cc\nnew.h\n"}
        with self.with_git(answers):
            self.assertEqual(source_files.changed_files(self.root, "base"),
                             ["edited.cc", "new.h", "old.cc"])

    def test_the_new_lines_of_a_diff_are_those_that_changed(self):
        diff = ("--- a/a.cc\n+++ b/a.cc\n@@ -1 +1 @@\n-x\n+y\n@@ -7,0 +8,2 @@ f() {\n+p\n+q\n"
                "--- a/b.h\n+++ b/b.h\n@@ -3,2 +2,0 @@\n-x\n-y\n"
                "--- /dev/null\n+++ b/c.h\n@@ -0,0 +1,3 @@\n+x\n+y\n+z\n")
        self.assertEqual(source_files.changed_lines(diff),
                         {"a.cc": {1, 8, 9}, "b.h": set(), "c.h": {1, 2, 3}})

    def test_a_header_is_looked_at_through_a_source(self):
        sources = {"a/own.cc": "", "a/user.cc": '#include "a/only.h"\n',
                   "b/user.cc": '#include "a/only.h"\n#include "kvstore/api.h"\n'}
        changed = ["b/user.cc", "a/own.h", "a/only.h", "client/include/kvstore/api.h", "a/unused.h",
                   "a/own.cc"]
        self.assertEqual(source_files.units_of(changed, sources),
                         ["b/user.cc", "a/own.cc", "a/user.cc"])


class TidyTree(Tree):
    def test_long_files(self):
        self.write("a.cc", "x\n" * 600)
        self.assertEqual(tidy_tree.check(self.root), [])
        self.write("a.cc", "x\n" * 601)
        self.assert_one(tidy_tree.check(self.root), "a.cc: 601 lines")

    def test_a_long_file_of_the_product_says_why(self):
        self.write("tests/a.cc", "x\n" * 451)
        self.write("client/a.cc", "x\n" * 450)
        self.write("client/b.cc", "// Over 450 lines: it is one table.\n" + "x\n" * 450)
        self.assertEqual(tidy_tree.check(self.root), [])
        self.write("client/a.cc", "x\n" * 451)
        self.assert_one(tidy_tree.check(self.root), "client/a.cc: 451 lines", "Over 450 lines: ")

    def test_machine_paths(self):
        for folder in ("root", "home", "work"):
            self.write("a.md", f"fine\nsee /{folder}/somebody/x\n")
            self.assert_one(tidy_tree.check(self.root), "a.md:2", f"/{folder}/somebody")

    def test_relative_paths_are_no_machine_paths(self):
        self.write("a.md", "bench/work/x and $dir/root/x and docs/home/x\n")
        self.assertEqual(tidy_tree.check(self.root), [])

    def test_blanks_at_the_end(self):
        self.write("a.h", "int x; \n")
        self.assert_one(tidy_tree.check(self.root), "a.h:1")

    def test_build_folders_are_left_alone(self):
        self.write("build/dev/a.cc", "x \n" * 700)
        self.assertEqual(tidy_tree.check(self.root), [])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        COMPILER = sys.argv.pop(1)
    unittest.main()
