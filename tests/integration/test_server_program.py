"""Servers and a scheduler that live in a user's program (KVStore::RunServer), in real processes."""

import json
import os
import signal
import socket
import tempfile
import unittest

import cluster
from foreign_worker import Worker

PROGRAM = os.path.join(cluster.TESTS, "role_program")
UNLINKED = os.path.join(cluster.TESTS, "role_program_unlinked")


class ServerProgram(unittest.TestCase):
    """A real scheduler; the servers are role_program."""

    def start(self, servers=2, program=PROGRAM, **variables):
        nodes = cluster.Cluster(workers=1, servers=servers, own_servers=True)
        self.addCleanup(nodes.__exit__)
        self.nodes = nodes
        env = {"KVSTORE_SCHEDULER": nodes.address, "KVSTORE_ROLE": "server", **variables}
        return [nodes.start(f"server {n}", [program], {**env, "KVSTORE_SERVER_RANK": str(n)})
                for n in range(servers)]

    def start_worker(self, scene=""):
        return self.nodes.start("worker", [PROGRAM, scene], self.nodes.env())

    def test_a_program_serves_until_the_job_is_over(self):
        servers = self.start()
        worker = self.start_worker()
        self.assertEqual(worker.wait(), 0, worker.text())
        for server in servers:
            self.assertEqual(server.wait(), 0, server.text())
            self.assertIn("the job is over", server.lines)
            self.assertIn("command 14 hello", server.lines)
            self.assertRegex(server.text(), "init: FAILED_PRECONDITION: .*the role of this process "
                                            "is server")
        print(worker.text())
        self.assertIn("rows: updated", worker.lines)
        self.assertRegex(worker.text(), "push: UNKNOWN: .*key 7 part 0: the server's updater threw "
                                        "13 is refused")
        for line, code, words in (("fail", "UNKNOWN", "it broke"),
                                  ("typed", "NOT_FOUND", "NOT_FOUND: no such thing"),
                                  ("oddly", "UNKNOWN", "something that is no std::exception")):
            text = next(text for text in worker.lines if text.startswith(line))
            self.assertTrue(text.startswith(f"{line}: {code}: server 0 ("), text)
            self.assertRegex(text, rf"server 1 \(\S+\): command 1\d: the controller threw {words}")
        self.assertRegex(worker.text(), "run: FAILED_PRECONDITION: RunServer")

    def test_a_repeat_on_the_wire_is_not_run_again_and_hears_the_same(self):
        server = self.start(servers=1)[0]
        worker = Worker(self.nodes.address)
        self.addCleanup(worker.close)
        worker.route()

        hello, fails = worker.command(14, b"over the wire"), worker.command(10)
        for _ in range(3):
            self.assertEqual(worker.outcome(hello).code, 0)
            entry = worker.outcome(fails)
            self.assertEqual((entry.code, entry.message),
                             (2, "command 10: the controller threw it broke"))
            worker.forget_streams()
        odd = worker.command(12, b"\xff\0")
        self.assertIn("no std::exception", worker.outcome(odd).message)
        self.assertEqual(worker.outcome(worker.command(14, b"a last word")).code, 0)
        server.expect("command 14 a last word")
        self.assertEqual(server.lines.count("command 14 over the wire"), 1, server.text())

    def kvctl_command(self, *arguments, check=True):
        result = self.nodes.kvctl("command", *arguments, "--scheduler", self.nodes.address,
                                  "--output", "json", check=check)
        outcomes = json.loads(result.stdout) if result.stdout.startswith("[") else result.stdout
        return result.returncode, outcomes

    def test_an_operator_sends_commands_to_the_controllers(self):
        servers = self.start()
        for server in servers:
            server.expect("registered as server")
        self.assertEqual(self.kvctl_command("14", "from an operator"),
                         (0, [{"server": n, "code": "OK", "message": ""} for n in range(2)]))
        for server in servers:
            server.expect("command 14 from an operator")
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"a file's text")
            file.flush()
            code, outcomes = self.kvctl_command("0", f"@{file.name}", "--server", "1")
        self.assertEqual((code, [one["server"] for one in outcomes]), (0, [1]))
        servers[1].expect("command 0 a file's text")
        self.assertNotIn("command 0", servers[0].text())
        code, outcomes = self.kvctl_command("11", "nothing here", check=False)
        self.assertEqual(code, 1)
        for outcome in outcomes:
            self.assertEqual(outcome["code"], "NOT_FOUND")
            self.assertIn("NOT_FOUND: nothing here", outcome["message"])
        # MXNet's own ids are what they are here.
        code, outcomes = self.kvctl_command("5", "filename:/tmp/x.json0")
        self.assertEqual((code, len(outcomes)), (0, 2))
        for arguments, expected, words in (
                (("4",), 2, "kSetGradientCompression is no command here"),
                (("5", "no verb"), 2, "has the verb, 0 to 3, behind its parameters"),
                (("-1",), 2, "a command id of at least 0"),
                (("14", "@/nowhere"), 1, "cannot read /nowhere"),
                (("14", "x", "--server", "9"), 1, "there is no server 9 (2 are there)")):
            code, said = self.kvctl_command(*arguments, check=False)
            self.assertEqual(code, expected, said)
            self.assertIn(words, said)

    def test_sigterm_ends_a_server_in_order(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.start(servers=1)[0]
            server.expect("registered as server 0")
            server.signal(number)
            self.assertEqual(server.wait(), 0, server.text())
            self.assertIn("the job is over", server.lines)

    def test_a_variable_that_is_misspelt_is_named_once(self):
        server = self.start(servers=1, KVSTORE_SHARD="2")[0]
        server.expect("registered as server 0")
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0, server.text())
        self.assertEqual(server.text().count("KVSTORE_SHARD has no effect"), 1, server.text())

    def test_a_job_that_fails_is_an_error_of_run_server(self):
        servers = self.start()
        self.start_worker("die")
        for server in servers:
            self.assertEqual(server.wait(), 1, server.text())
            self.assertRegex(server.text(), r"threw FAILED_PRECONDITION: .*worker 0")

    def test_the_death_of_another_server_is_told(self):
        servers = self.start()
        worker = self.start_worker("wait")
        worker.expect("at work")  # before that, another server would take its place
        servers[1].kill()
        self.assertEqual(servers[0].wait(), 1, servers[0].text())
        self.assertRegex(servers[0].text(), r"threw DATA_LOSS: .*server 1")

    def test_settings_that_are_wrong_are_named(self):
        nodes = cluster.Cluster(workers=1, servers=1, own_servers=True)
        self.addCleanup(nodes.__exit__)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for env, words in (
                    ({}, "INVALID_ARGUMENT: .*KVSTORE_SCHEDULER"),
                    ({"KVSTORE_SCHEDULER": nodes.address, "KVSTORE_SHARDS": "many"},
                     "INVALID_ARGUMENT: .*KVSTORE_SHARDS"),
                    ({"KVSTORE_SCHEDULER": nodes.address, "KVSTORE_UPDATER_PLUGIN": "lion.so"},
                     "INVALID_ARGUMENT: .*KVSTORE_UPDATER_PLUGIN: kvstored expected"),
                    ({"KVSTORE_SCHEDULER": nodes.address, "KVSTORE_LISTEN": f"127.0.0.1:{port}"},
                     f"UNAVAILABLE: .*{port}"),
                    ({"KVSTORE_SCHEDULER": nodes.free_address(),
                      "KVSTORE_CONNECT_TIMEOUT_MS": "300"},
                     "UNAVAILABLE: .*not registered within 0.3 s")):
                with self.subTest(words):
                    server = nodes.start("server", [PROGRAM], {"KVSTORE_ROLE": "server", **env})
                    self.assertEqual(server.wait(), 1, server.text())
                    self.assertRegex(server.text(), "threw " + words)

    def test_a_program_without_the_library_is_told_its_name(self):
        server = self.start(servers=1, program=UNLINKED)[0]
        self.assertEqual(server.wait(), 1, server.text())
        self.assertRegex(server.text(), "threw UNIMPLEMENTED: .*kvstore::server")

    def test_one_program_in_all_roles_as_mxnet_starts_them(self):
        roles = cluster.Cluster(workers=1, servers=1, own_servers=True)
        self.addCleanup(roles.__exit__)  # only to start and end processes
        host, port = roles.free_address().split(":")
        env = {"DMLC_PS_ROOT_URI": host, "DMLC_PS_ROOT_PORT": port,
               "DMLC_NUM_WORKER": "1", "DMLC_NUM_SERVER": "1"}
        started = [roles.start(role, [PROGRAM], {**env, "DMLC_ROLE": role})
                   for role in ("scheduler", "server", "worker")]
        for process in reversed(started):
            self.assertEqual(process.wait(), 0, roles.text())
        self.assertIn("the scheduler's job is over", started[0].lines)


if __name__ == "__main__":
    unittest.main()
