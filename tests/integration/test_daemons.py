"""The daemons from outside: flags, environment, ports, signals, garbage on the port."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import unittest

import cluster

SCHEDULER = os.path.join(cluster.BIN, "kvscheduler")
SERVER = os.path.join(cluster.BIN, "kvstored")


def run(*command, env=None):
    """Runs a daemon that must end by itself."""
    full = {k: v for k, v in os.environ.items() if not k.startswith(("KVSTORE_", "DMLC_"))}
    full.update(env or {})
    return subprocess.run(command, env=full, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=cluster.DEADLINE_S, check=False)


class Daemons(unittest.TestCase):
    def assert_refused(self, result, code, pattern):
        self.assertEqual(result.returncode, code, result.stdout)
        self.assertRegex(result.stdout, pattern)

    def test_help_and_version(self):
        for daemon in (SCHEDULER, SERVER):
            for flag in ("--help", "--version"):
                self.assertEqual(run(daemon, flag).returncode, 0)
            self.assertIn("--listen", run(daemon, "--help").stdout)

    def test_bad_flags_and_environment_exit_with_2_and_say_why(self):
        base = ("--listen", "127.0.0.1:0")
        cases = [
            ([SCHEDULER, *base, "--workers", "abc"], {}, "workers"),
            ([SCHEDULER, *base, "--workers", "0"], {}, "workers"),
            ([SCHEDULER, *base, "--workers", "-1"], {}, "workers"),
            ([SCHEDULER, *base, "--nonsense"], {}, "nonsense"),
            ([SCHEDULER, *base], {"KVSTORE_NUM_WORKERS": "abc"}, "KVSTORE_NUM_WORKERS"),
            ([SCHEDULER, *base], {"DMLC_NUM_WORKER": "-3", "DMLC_NUM_SERVER": "1"}, "DMLC_NUM_WORKER"),
            ([SCHEDULER, *base], {"DMLC_NUM_WORKER": "1", "DMLC_NUM_SERVER": ""}, "DMLC_NUM_SERVER"),
            ([SCHEDULER, "--listen", "127.0.0.1:70000", "--workers", "1", "--servers", "1"], {},
             "70000"),
            ([SERVER, "--scheduler", "127.0.0.1", "--listen", "127.0.0.1:0"], {}, "scheduler"),
            ([SERVER, "--listen", "127.0.0.1:0"], {}, "scheduler"),
            ([SERVER, "--scheduler", "127.0.0.1:9", *base, "--shards", "0"], {}, "shards"),
        ]
        for command, env, pattern in cases:
            with self.subTest(command=command[1:], env=env):
                self.assert_refused(run(*command, env=env), 2, pattern)

    def test_a_file_of_settings_serves_both_daemons(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "cluster.conf")

            def write(text):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)

            write("# one worker\nworkers = 1\nservers = 1\nscheduler = 127.0.0.1:9\n"
                  "shards = 3\nheartbeat-ms = 250\n")
            printed = run(SCHEDULER, "--config", path, "--heartbeat-ms", "300", "--print-config")
            self.assertEqual(printed.returncode, 0, printed.stdout)
            self.assertIn(f"workers = 1  # {path}:2\n", printed.stdout)
            self.assertIn("heartbeat-ms = 300  # --heartbeat-ms\n", printed.stdout)
            self.assertIn("lost-dead-ms = 5000  # default\n", printed.stdout)
            printed = run(SERVER, "--print-config", env={"KVSTORE_CONFIG": path})
            self.assertIn(f"scheduler = 127.0.0.1:9  # {path}:4\n", printed.stdout)
            self.assertIn(f"shards = 3  # {path}:5\n", printed.stdout)
            # What is printed is a file of settings again.
            write(printed.stdout)
            self.assertEqual(run(SERVER, "--config", path, "--print-config").returncode, 0)

            write("workers = 1\nserver = 1\n")
            self.assert_refused(run(SCHEDULER, "--config", path), 2,
                                re.escape(f"{path}:2: ") + ".*'server'")
            write("workers = 1\nservers = one\n")
            self.assert_refused(run(SCHEDULER, "--config", path), 2,
                                re.escape(f"{path}:2: servers: ") + ".*'one'")
            self.assert_refused(run(SCHEDULER, "--config", path + "x"), 2, re.escape(path + "x"))

    def test_a_server_listens_where_its_host_is_on_the_way_to_the_scheduler(self):
        with cluster.Cluster(workers=1, servers=1, own_servers=True) as c:
            server = c.start("server", [SERVER, "--scheduler", c.address, "--shards", "1"])
            server.expect(r"^kvstored listening on 127\.0\.0\.1:[1-9][0-9]*$")
            server.expect("registered as server 0")

    def test_a_port_in_use_is_said_in_one_line(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            result = run(SCHEDULER, "--listen", address, "--workers", "1", "--servers", "1")
            self.assert_refused(result, 1, re.escape(address))

    def test_a_server_without_a_scheduler_gives_up_by_name(self):
        result = run(SERVER, "--scheduler", "127.0.0.1:1", "--listen", "127.0.0.1:0",
                     "--connect-timeout-ms", "500")
        self.assert_refused(result, 1, r"127\.0\.0\.1:1\b")

    def test_a_broken_state_file_is_refused_with_4(self):
        with cluster.Cluster(workers=1, servers=1) as c:
            state = c._state.name
            c.scheduler.signal(signal.SIGTERM)
            self.assertEqual(c.scheduler.wait(), 0)
            broken = 0
            for name in os.listdir(state):
                path = os.path.join(state, name)
                if os.path.isfile(path) and os.path.getsize(path) > 0:
                    with open(path, "r+b") as file:
                        file.seek(os.path.getsize(path) // 2)
                        byte = file.read(1)
                        file.seek(-1, os.SEEK_CUR)
                        file.write(bytes([byte[0] ^ 0xFF]))
                    broken += 1
            self.assertGreater(broken, 0)
            result = run(SCHEDULER, "--listen", "127.0.0.1:0", "--workers", "1", "--servers", "1",
                         "--state-dir", state)
            self.assert_refused(result, 4, re.escape(state))

    def test_sigterm_ends_daemons_with_0(self):
        with cluster.Cluster(workers=1, servers=2) as c:
            for process in (*c.server, c.scheduler):
                process.signal(signal.SIGTERM)
                self.assertEqual(process.wait(), 0, process.text())

    def test_a_state_directory_that_cannot_be_used_is_refused_with_4(self):
        with cluster.Cluster(workers=1, servers=1) as c:
            result = run(SCHEDULER, "--listen", "127.0.0.1:0", "--workers", "1", "--servers", "1",
                         "--state-dir", c._state.name)
            self.assert_refused(result, 4, re.escape(c._state.name))
        with tempfile.NamedTemporaryFile() as file:
            result = run(SCHEDULER, "--listen", "127.0.0.1:0", "--workers", "1", "--servers", "1",
                         "--state-dir", file.name)
            self.assert_refused(result, 4, re.escape(file.name))

    def test_a_server_too_many_is_refused_with_3(self):
        with cluster.Cluster(workers=1, servers=1) as c:
            # As long as the job has not begun it would wait for a place.
            c.start_worker(0, "--rounds", 1000000).expect("round 1")
            result = run(SERVER, "--scheduler", c.address, "--listen", "127.0.0.1:0")
            self.assert_refused(result, 3, "server")

    def test_a_server_on_a_port_in_use_is_refused_with_1(self):
        with cluster.Cluster(workers=1, servers=1) as c:
            result = run(SERVER, "--scheduler", c.address, "--listen", c.server[0].address)
            self.assert_refused(result, 1, re.escape(c.server[0].address))

    def test_with_exit_with_job_the_daemons_end_with_the_job(self):
        flags = ("--exit-with-job",)
        with cluster.Cluster(workers=2, servers=2, scheduler_flags=flags, server_flags=flags) as c:
            workers = c.start_workers("--rounds", 20)
            for process in (*workers, *c.server, c.scheduler):
                self.assertEqual(process.wait(), 0, process.text())

    def test_a_server_ended_in_a_job_ends_with_0_and_the_workers_hear_of_it(self):
        with cluster.Cluster(workers=2, servers=2) as c:
            workers = c.start_workers("--rounds", 1000000)
            workers[0].expect(r"round 20$")
            c.server[0].signal(signal.SIGTERM)
            self.assertEqual(c.server[0].wait(), 0, c.server[0].text())
            for worker in workers:
                worker.expect(rf"error DATA_LOSS .*{re.escape(c.server[0].address)}")
                self.assertEqual(worker.wait(), 3)

    def test_an_init_over_the_memory_budget_is_refused_and_the_server_lives(self):
        with cluster.Cluster(workers=1, servers=1, server_flags=("--value-mib", "8")) as c:
            large = c.start_worker(0, "--elements", 1 << 23)
            large.expect(r"error RESOURCE_EXHAUSTED .*key 0: \d+ bytes needed, \d+ of 8388608")
            self.assertEqual(large.wait(), 3)
            small = c.start_worker(0, "--rounds", 5)
            small.expect(r"done 5$")
            self.assertEqual(small.wait(), 0)

    def test_variables_stand_in_for_flags(self):
        own = {"KVSTORE_LISTEN": "127.0.0.1:0", "KVSTORE_NUM_WORKERS": "1",
               "KVSTORE_NUM_SERVERS": "1"}
        mxnet = {"KVSTORE_LISTEN": "127.0.0.1:0", "DMLC_NUM_WORKER": "1", "DMLC_NUM_SERVER": "1"}
        for variables in (own, mxnet):
            with self.subTest(variables), tempfile.TemporaryDirectory() as state:
                processes = []

                def start(name, command, env):
                    processes.append(cluster.Process(name, command, env))
                    self.addCleanup(lambda p=processes[-1]: p.running() and p.kill())
                    return processes[-1]

                scheduler = start("scheduler", [SCHEDULER], {**variables, "KVSTORE_STATE_DIR": state})
                address = scheduler.expect(r"^kvscheduler listening on (\S+)$").group(1)
                host, port = address.rsplit(":", 1)
                where = ({"KVSTORE_SCHEDULER": address} if variables is own else
                         {"DMLC_PS_ROOT_URI": host, "DMLC_PS_ROOT_PORT": port})
                server = start("server", [SERVER], {
                    **where, "KVSTORE_LISTEN": "127.0.0.1:0", "KVSTORE_ADVERTISE": "localhost:0",
                    "KVSTORE_SHARDS": "3", "KVSTORE_SERVER_RANK": "0", "KVSTORE_PARKED_MIB": "7",
                    "KVSTORE_VALUE_MIB": "9", "KVSTORE_LOG_LEVEL": "info"})
                server.expect(r"^kvstored listening on localhost:\d+$")
                server.expect(r"3 shards, scheduler " + re.escape(address))
                server.expect(r"registered as server 0")
                worker = start("worker", [os.path.join(cluster.TESTS, "train_worker"), "--rounds",
                                          "3"], {**where, **variables, "DMLC_ROLE": "worker"})
                worker.expect(r"done 3$")
                self.assertEqual(worker.wait(), 0)
                self.assertNotEqual(os.listdir(state), [])
                for process in (server, scheduler):
                    process.signal(signal.SIGTERM)
                    self.assertEqual(process.wait(), 0)

    def test_a_variable_that_is_not_ours_is_named_once_in_the_log(self):
        with tempfile.TemporaryDirectory() as state:
            scheduler = cluster.Process("scheduler", [
                SCHEDULER, "--listen", "127.0.0.1:0", "--workers", "1", "--servers", "1",
                "--state-dir", state], {"KVSTORE_NUM_WORKER": "2"})
            self.addCleanup(lambda: scheduler.running() and scheduler.kill())
            scheduler.expect(r"^kvscheduler listening on ")
            self.assertEqual(scheduler.text().count(
                "KVSTORE_NUM_WORKER has no effect: there is no such variable; the nearest is "
                "KVSTORE_NUM_WORKERS"), 1, scheduler.text())

    def test_ipv6(self):
        with cluster.Cluster(workers=2, servers=2, host="[::1]") as c:
            workers = c.start_workers("--rounds", 20)
            for worker in workers:
                worker.expect(r"done 20$")
                self.assertEqual(worker.wait(), 0)

    def test_garbage_on_a_port_harms_nobody(self):
        with cluster.Cluster(workers=2, servers=2, shards=2) as c:
            workers = c.start_workers("--rounds", 300, "--delay-ms", 10)
            workers[0].expect(r"round 1$")
            for address in (c.address, *(server.address for server in c.server)):
                host, port = address.rsplit(":", 1)
                for bytes_ in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01",
                               bytes(range(256)) * 64, b""):
                    with socket.create_connection((host, int(port)), timeout=10) as connection:
                        connection.sendall(bytes_)
            for worker in workers:
                self.assertNotRegex(worker.text(), "(?m)round 300$")  # there was something to harm
            for worker in workers:
                worker.expect(r"done 300$")
                self.assertEqual(worker.wait(), 0)

    def test_workers_of_different_types_are_refused_naming_both(self):
        with cluster.Cluster(workers=2, servers=1) as c:
            first = c.start_worker(0, "--store", "dist_sync")
            c.scheduler.expect(r"worker 0")
            second = c.start_worker(1, "--store", "dist_device_sync")
            match = second.expect(r"error (\w+) .*$")
            self.assertEqual(match.group(1), "FAILED_PRECONDITION")
            self.assertRegex(match.group(0), r"dist_sync.*dist_device_sync|dist_device_sync.*dist_sync")
            self.assertTrue(first.running())


if __name__ == "__main__":
    unittest.main()
