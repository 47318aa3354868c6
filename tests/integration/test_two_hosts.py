"""Daemons and workers on different hosts, which are network namespaces: where a server listens and
what it advertises when nobody says so, IPv6, several interfaces, and ways that do not exist."""

import re
import unittest

import hosts


class TwoHosts(unittest.TestCase):
    def assert_trains(self, worker):
        self.assertEqual(worker.wait(), 0, worker.text())
        worker.expect(r"rank \d done 10")

    def test_mxnets_variables_alone_make_a_cluster_of_three_hosts(self):
        with hosts.Hosts("a", "b", "c") as h:
            env = {"DMLC_PS_ROOT_URI": h.a.v4, "DMLC_PS_ROOT_PORT": "9091",
                   "DMLC_NUM_WORKER": "1", "DMLC_NUM_SERVER": "1"}
            scheduler = h.start(h.a, "kvscheduler", env={**env, "DMLC_ROLE": "scheduler"})
            scheduler.expect(rf"^kvscheduler listening on {h.a.v4}:9091$")
            server = h.start(h.b, "kvstored", env={**env, "DMLC_ROLE": "server"})
            server.expect(rf"^kvstored listening on {h.b.v4}:[1-9][0-9]*$")
            self.assert_trains(h.start(h.c, "train_worker", env={**env, "DMLC_ROLE": "worker"}))

    def test_ipv6_works_the_same_way(self):
        with hosts.Hosts("a", "b", "c") as h:
            address = h.start_scheduler(h.a, f"[{h.a.v6}]:0")
            self.assertTrue(address.startswith("[fd09::1]:"), address)
            server = h.start_server(h.b, address)
            self.assertRegex(server.address, r"^\[fd09::2\]:[1-9][0-9]*$")
            self.assert_trains(h.start_worker(h.c, address))

    def test_a_server_on_the_schedulers_host_is_reached_from_others(self):
        with hosts.Hosts("a", "b") as h:
            address = h.start_scheduler(h.a, f"{h.a.v4}:0")
            server = h.start_server(h.a, address)
            self.assertTrue(server.address.startswith(f"{h.a.v4}:"), server.address)
            self.assert_trains(h.start_worker(h.b, address))

    def test_on_a_server_with_two_interfaces_the_way_to_the_scheduler_counts(self):
        with hosts.Hosts("a", "b", "c") as h:
            h.b.second_interface()
            h.c.second_interface()
            address = h.start_scheduler(h.a, f"{h.a.v4}:0", 1, 2)
            first = h.start_server(h.b, address)
            self.assertTrue(first.address.startswith(f"{h.b.v4}:"), first.address)
            # ... unless somebody says which: workers of that network reach it there.
            second = h.start_server(h.b, address, env={"DMLC_INTERFACE": "eth1"})
            self.assertTrue(second.address.startswith(f"{h.b.second_v4}:"), second.address)
            self.assert_trains(h.start_worker(h.c, address))

    def test_a_server_may_listen_on_all_addresses(self):
        with hosts.Hosts("a", "b", "c") as h:
            address = h.start_scheduler(h.a, f"{h.a.v4}:0", 1, 3)
            # Nothing is said: the address of the way to the scheduler.
            told = h.start_server(h.b, address, "--listen", "0.0.0.0:0")
            self.assertTrue(told.address.startswith(f"{h.b.v4}:"), told.address)
            told.expect(r"listening on 0\.0\.0\.0:\d+, advertised as ")
            wide = h.start_server(h.b, address, "--listen", "[::]:0", "--advertise", f"{h.b.v4}:0")
            self.assertTrue(wide.address.startswith(f"{h.b.v4}:"), wide.address)
            named = h.start_server(h.b, address, env={"DMLC_NODE_HOST": h.b.v4})
            self.assertTrue(named.address.startswith(f"{h.b.v4}:"), named.address)
            self.assert_trains(h.start_worker(h.c, address))

    def test_a_loopback_address_from_another_host_is_refused_by_name(self):
        with hosts.Hosts("a", "b") as h:
            for where, loopback in ((h.a.v4, "127.0.0.1"), (f"[{h.a.v6}]", "[::1]"),
                                    (h.a.v4, "localhost")):
                address = h.start_scheduler(h.a, f"{where}:0")
                server = h.start(h.b, "kvstored", "--scheduler", address,
                                 "--listen", f"{loopback}:0")
                self.assertEqual(server.wait(), 3, server.text())
                own = h.b.v6 if where.startswith("[") else h.b.v4
                said = re.escape(f"the server of host {own} advertises {loopback}:")
                self.assertRegex(server.text(), said + r"\d+: .*--advertise HOST:PORT")
                h.scheduler.expect(said)
                # On the scheduler's own host it is a good address.
                local = h.start_scheduler(h.b, "127.0.0.1:0")
                h.start_server(h.b, local, "--listen", f"{loopback}:0").expect(
                    "registered as server 0")

    def test_a_job_does_not_start_when_a_worker_cannot_reach_a_server(self):
        ways = (  # what makes it so, where; and what the worker is told
            ("silence", lambda h: (h.b, "blackhole", f"{h.c.v4}/32"), r"no answer for 1 s|timed out"),
            ("refusal", lambda h: (h.c, "unreachable", f"{h.b.v4}/32"), "No route to host"))
        for name, way, why in ways:
            with self.subTest(name), hosts.Hosts("a", "b", "c") as h:
                address = h.start_scheduler(h.a, f"{h.a.v4}:0", 2, 1)
                server = h.start_server(h.b, address)
                host, kind, target = way(h)
                host.ip("route", "add", kind, target)
                timeout = {"KVSTORE_CONNECT_TIMEOUT_MS": "2500"}
                good = h.start_worker(h.a, address, env=timeout)
                bad = h.start_worker(h.c, address, env=timeout)
                said = (rf"worker [01] \(\S+:{bad.popen.pid}\) cannot reach server 0 at "
                        rf"{re.escape(server.address)} \(.*({why})")
                h.scheduler.expect("job 1 does not start: " + said)
                status = h.start(h.a, "kvctl", "status", "--scheduler", address)
                self.assertEqual(status.wait(), 0)
                self.assertRegex(status.text(), said)
                for worker in (good, bad):
                    self.assertNotEqual(worker.wait(), 0, worker.text())
                    self.assertRegex(worker.text(), "DEADLINE_EXCEEDED.*2500 ms: .*" + said)
                # The way is there again: the same daemons serve.
                host.ip("route", "del", kind, target)
                for worker in (h.start_worker(h.a, address), h.start_worker(h.c, address)):
                    self.assert_trains(worker)

    def test_a_worker_that_reaches_the_server_in_time_takes_part(self):
        with hosts.Hosts("a", "b", "c") as h:
            address = h.start_scheduler(h.a, f"{h.a.v4}:0")
            h.start_server(h.b, address)
            h.c.ip("route", "add", "unreachable", f"{h.b.v4}/32")
            worker = h.start_worker(h.c, address)
            h.scheduler.expect("job 1 does not start: worker 0 ")
            h.c.ip("route", "del", "unreachable", f"{h.b.v4}/32")
            self.assert_trains(worker)

    def test_a_server_waits_for_its_way_to_the_scheduler(self):
        with hosts.Hosts("a", "b") as h:
            address = h.start_scheduler(h.a, f"{h.a.v4}:0")
            h.b.ip("link", "set", "eth0", "down")
            lost = h.start(h.b, "kvstored", "--scheduler", address, "--connect-timeout-ms", "700")
            self.assertEqual(lost.wait(), 1, lost.text())
            self.assertRegex(lost.text(), re.escape(address) + r": not registered within 0\.7 s: "
                             r"no route \(10\.9\.0\.1: Network is unreachable\)")
            server = h.start(h.b, "kvstored", "--scheduler", address)
            server.expect("no route .* asking again")
            h.b.ip("link", "set", "eth0", "up")
            server.expect(rf"^kvstored listening on {h.b.v4}:")
            server.expect("registered as server 0")


if __name__ == "__main__":
    hosts.enter()
    unittest.main()
