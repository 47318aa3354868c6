"""Installs the build into a folder, moves that folder, and builds and runs a user's project against
it: with find_package and with pkg-config and the plain compiler.

    consumer_test.py CMAKE BUILD_DIR COMPILER
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

CMAKE, BUILD, COMPILER = (sys.argv.pop(1) for _ in range(3))
PROJECT = pathlib.Path(__file__).resolve().parent / "project"
EXPECTED = re.compile(r"1 3 5 7 9 11 \d+\.\d+\.\d+ INVALID_ARGUMENT\n")


def run(*command, **kwargs):
    """stdout; the output of a failing command is in the exception."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          check=False, **kwargs)
    if done.returncode != 0:
        raise AssertionError(f"{command} returned {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


class Consumer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls._folder.name)
        run(CMAKE, "--install", BUILD, "--prefix", cls.folder / "first")
        cls.prefix = cls.folder / "moved here"  # a blank in the path, too
        (cls.folder / "first").rename(cls.prefix)
        shutil.copytree(PROJECT, cls.folder / "project")
        cls.pkgconfig = next(cls.prefix.rglob("kvstore.pc")).parent
        cls.library = next(cls.prefix.rglob("libkvstore.so"))

    @classmethod
    def tearDownClass(cls):
        cls._folder.cleanup()

    def test_find_package(self):
        build = self.folder / "cmake-build"
        run(CMAKE, "-G", "Ninja", "-S", self.folder / "project", "-B", build,
            "-DCMAKE_BUILD_TYPE=Release",
            f"-DCMAKE_CXX_COMPILER={COMPILER}", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run(CMAKE, "--build", build)
        self.assertRegex(run(build / "consumer"), EXPECTED)
        self.run_roles(build / "roles")

    def run_roles(self, program, **kwargs):
        """The program as servers and workers of the installed kvctl: 1 + 2 (1 + 1)."""
        output = run(self.prefix / "bin" / "kvctl", "run", "-n", "2", "-s", "2",
                     "--server-program", program, "--", program, **kwargs)
        for worker in (0, 1):
            self.assertIn(f"[worker {worker}] 5 0\n", output)
        for server in (0, 1):
            self.assertIn(f"[server {server}] command 6: hello\n", output)

    def test_find_package_refuses_another_version(self):
        project = self.folder / "newer"
        shutil.copytree(PROJECT, project)
        lists = project / "CMakeLists.txt"
        lists.write_text(lists.read_text().replace("kvstore 0.1", "kvstore 99.1"))
        with self.assertRaisesRegex(AssertionError, "99.1"):
            run(CMAKE, "-G", "Ninja", "-S", project, "-B", self.folder / "newer-build",
                f"-DCMAKE_CXX_COMPILER={COMPILER}", f"-DCMAKE_PREFIX_PATH={self.prefix}")

    def test_pkg_config_and_the_plain_compiler(self):
        flags = shlex.split(run("pkg-config", "--cflags", "--libs", "kvstore",
                                env={**os.environ, "PKG_CONFIG_PATH": str(self.pkgconfig)}))
        run(COMPILER, "-std=c++17", "-pedantic", "-Wall", "-Wextra", "-Werror", "main.cc",
            "-o", "plain", *flags, cwd=self.folder / "project")
        output = run(self.folder / "project" / "plain",
                     env={**os.environ, "LD_LIBRARY_PATH": str(self.library.parent)})
        self.assertRegex(output, EXPECTED)

    def test_pkg_config_of_a_server_program(self):
        flags = shlex.split(run("pkg-config", "--cflags", "--libs", "kvstore-server",
                                env={**os.environ, "PKG_CONFIG_PATH": str(self.pkgconfig)}))
        # Some systems' compilers leave out libraries that nobody calls by name, as here.
        run(COMPILER, "-std=c++17", "-Wl,--as-needed", "roles.cc", "-o", "plain-roles", *flags,
            cwd=self.folder / "project")
        self.run_roles(self.folder / "project" / "plain-roles",
                       env={**os.environ, "LD_LIBRARY_PATH": str(self.library.parent)})

    @staticmethod
    def exported(library):
        symbols = run("nm", "--dynamic", "--defined-only", "--demangle", library)
        return [line.split(maxsplit=2)[2] for line in symbols.splitlines() if line.strip()]

    def test_the_server_library_shows_what_run_server_needs_and_nothing_else(self):
        library = next(self.prefix.rglob("libkvstore-server.so"))
        self.assertEqual(self.exported(library), ["kvstore::Serve(kvstore::ServerProgram const&)"])

    def test_the_library_shows_nothing_but_namespace_kvstore(self):
        names = self.exported(self.library)
        self.assertTrue(any("kvstore::KVStore::CreateUnique" in name for name in names))
        ours = re.compile(r"^(?:(?:typeinfo|vtable|VTT|typeinfo name|guard variable|"
                          r"non-virtual thunk) (?:for|to) )?kvstore::")
        strangers = [name for name in names if not ours.match(name)]
        self.assertEqual(strangers, [])

    def test_headers_and_programs_are_there(self):
        headers = {path.relative_to(self.prefix / "include").as_posix()
                   for path in (self.prefix / "include").rglob("*") if path.is_file()}
        self.assertIn("kvstore/kvstore.h", headers)
        self.assertIn("kvstore/updater_plugin.h", headers)
        self.assertTrue(all(header.startswith("kvstore/") and header.endswith(".h")
                            for header in headers), headers)
        for program in ("kvctl", "kvscheduler", "kvstored"):
            path = self.prefix / "bin" / program
            self.assertTrue(os.access(path, os.X_OK), program)
            run(path, "--help")


if __name__ == "__main__":
    unittest.main()
