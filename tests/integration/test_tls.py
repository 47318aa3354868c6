"""Mutual TLS with real daemons: who gets in, as what, and what everybody else is told."""

import json
import os
import shutil
import ssl
import subprocess
import tempfile
import unittest

import grpc

import cluster
from foreign_worker import data_pb2, scheduler_pb2

ROLES = ("worker", "server", "admin", "viewer")
# Of every RPC that there is, who may call it. Not the product's table: written down from
# docs/security.md.
MAY = {
    "/kvstore.v1.Scheduler/Session": ("worker", "server", "admin"),
    "/kvstore.v1.Scheduler/GetStatus": ROLES,
    "/kvstore.v1.Data/Shard0": ("worker", "admin"),
    "/kvstore.v1.ServerAdmin/GetStatus": ROLES,
    "/kvstore.v1.ServerAdmin/GetKeyStats": ROLES,
    "/kvstore.v1.ServerAdmin/ReadProfile": ("admin", "viewer"),
    "/kvstore.v1.ServerAdmin/ReadKey": ("admin",),
    "/kvstore.v1.ServerAdmin/DeleteKeys": ("admin",),
    "/kvstore.v1.ServerAdmin/ResetKeys": ("admin",),
    "/kvstore.v1.ServerAdmin/OrderNumbers": ("admin",),
    "/kvstore.v1.ServerAdmin/OrderProfiler": ("admin",),
    "/kvstore.v1.ServerAdmin/RunCommand": ("admin",),
}
REFUSALS = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)


def kvctl(*arguments, check=True):
    result = subprocess.run([os.path.join(cluster.BIN, "kvctl"), *arguments], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            timeout=cluster.DEADLINE_S, check=False)
    if check:
        assert result.returncode == 0, result.stdout
    return result


class Authority:
    """An authority of the test's own, and folders with certificates of it."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="kvstore-tls-")
        self.path = os.path.join(self._folder.name, "authority")
        kvctl("tls", "init", self.path)

    def close(self):
        self._folder.cleanup()

    def issue(self, name, *flags):
        out = os.path.join(self._folder.name, name)
        kvctl("tls", "issue", self.path, out, *flags)
        return out

    def roles(self):
        """Folders by role. The server's names its host, for Python's gRPC, which looks at it."""
        return {role: self.issue(role, "--role", role, "--host", "localhost", "--host", "127.0.0.1")
                for role in ROLES}


def read(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def channel_of(folder, address, authority=None):
    """A stock client's channel: with the certificate of `folder`, or with none."""
    if folder is None:
        credentials = grpc.ssl_channel_credentials(read(authority, "ca.pem"))
    else:
        credentials = grpc.ssl_channel_credentials(
            read(folder, "ca.pem"), read(folder, "key.pem"), read(folder, "cert.pem"))
    return grpc.secure_channel(address, credentials)


def outcome_of(channel, method, streams):
    """Code and words of one call without a word, CANCELLED when it is let in and goes on."""
    raw = dict(request_serializer=lambda b: b, response_deserializer=lambda b: b)
    try:
        if streams:
            call = channel.stream_stream(method, **raw)(iter([b"\xff"]), timeout=30)
            next(call, None)
            call.cancel()
            return call.code(), call.details()
        channel.unary_unary(method, **raw)(b"", timeout=30)
        return grpc.StatusCode.OK, ""
    except grpc.RpcError as error:
        return error.code(), error.details()


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        cls.tls = cls.authority.roles()

    @classmethod
    def tearDownClass(cls):
        cls.authority.close()

    def assert_all_done(self, workers):
        for worker in workers:
            self.assertEqual(worker.wait(), 0, worker.text())
            worker_done = [line for line in worker.lines if "done" in line]
            self.assertTrue(worker_done, worker.text())

    def test_training_gives_the_same_sums_with_tls_in_memory_and_over_the_network(self):
        for shared_memory in ("auto", "off"):
            with self.subTest(shared_memory=shared_memory), \
                    cluster.Cluster(tls=self.tls, shards=2,
                                    server_flags=("--shared-memory", shared_memory)) as c:
                self.assert_all_done(
                    c.start_workers("--rounds", 60, "--keys", 4, "--elements", 300000))
                self.assertNotIn("neither encrypted", c.text())
                self.assertIn("TLS as 'server' (server)", c.text())

    def test_every_role_may_call_what_the_table_says_and_nothing_else(self):
        methods = {f"/{service.full_name}/{method.name}"
                   for file in (data_pb2.DESCRIPTOR, scheduler_pb2.DESCRIPTOR)
                   for service in file.services_by_name.values() for method in service.methods}
        self.assertEqual(methods, set(MAY), "an RPC without a row, or a row without an RPC")
        with cluster.Cluster(workers=1, servers=1, tls=self.tls) as c:
            tried = 0
            for method, may in MAY.items():
                address = c.address if ".Scheduler/" in method else c.server[0].address
                streams = method.endswith("/Session") or "/Shard" in method
                for role in ROLES:
                    with self.subTest(method=method, role=role), \
                            channel_of(self.tls[role], address) as channel:
                        code, words = outcome_of(channel, method, streams)
                        if role in may:
                            self.assertNotIn(code, REFUSALS)
                            self.assertNotEqual(code, grpc.StatusCode.UNAVAILABLE)
                            self.assertNotIn("not served", words)
                        else:
                            self.assertEqual(code, grpc.StatusCode.PERMISSION_DENIED)
                            self.assertIn(f"{method}: the certificate of '{role}' is of", words)
                        tried += 1
                with self.subTest(method=method, role=None), \
                        channel_of(None, address, self.tls["viewer"]) as channel:
                    code, words = outcome_of(channel, method, streams)
                    self.assertEqual(code, grpc.StatusCode.UNAUTHENTICATED)
                    self.assertIn("the caller has none", words)
            self.assertEqual(tried, len(MAY) * len(ROLES))
            # What is refused is logged, one line a second.
            self.assertIn("refused ipv4:127.0.0.1:", c.scheduler.text())
            self.assertEqual(c.kvctl("status", "--scheduler", c.address, "--tls-dir",
                                     self.tls["viewer"]).returncode, 0)

    def test_who_does_not_belong_is_told_so_and_the_job_goes_on(self):
        strangers = Authority()
        self.addCleanup(strangers.close)
        foreign = strangers.issue("foreign", "--role", "worker", "--role", "admin")
        # Trusts both authorities, so that it is the daemons that refuse.
        with open(os.path.join(foreign, "ca.pem"), "ab") as file:
            file.write(read(self.authority.path, "ca.pem"))
        quick = {"KVSTORE_CONNECT_TIMEOUT_MS": "2000"}
        with cluster.Cluster(workers=2, servers=1, tls=self.tls) as c:
            workers = c.start_workers("--rounds", 60, "--delay-ms", 20)
            workers[0].expect("round 2")
            cases = [
                # A certificate for something else is refused at once, by name.
                ({"KVSTORE_TLS_DIR": self.tls["viewer"]}, "PERMISSION_DENIED.*'viewer' is of: viewer"),
                ({"KVSTORE_TLS_DIR": self.tls["server"]}, "PERMISSION_DENIED.*'server' is for server"),
                ({"KVSTORE_TLS_DIR": ""}, "may have TLS, and here --tls-dir"),
                ({"KVSTORE_TLS_DIR": foreign}, "not take this process's certificate"),
            ]
            for env, pattern in cases:
                with self.subTest(env=env):
                    if not env["KVSTORE_TLS_DIR"]:
                        worker = c.start("without", [os.path.join(cluster.TESTS, "train_worker")],
                                         {k: v for k, v in {**c.env(0), **quick}.items()
                                          if k != "KVSTORE_TLS_DIR"})
                    else:
                        worker = c.start_worker(0, env={**quick, **env})
                    self.assertNotEqual(worker.wait(), 0)
                    self.assertRegex(worker.text().replace("\n", " "), pattern)
            for flags, pattern in (
                    (("--tls-dir", foreign), "not take this process's certificate"),
                    ((), "may have TLS, and here --tls-dir")):
                result = c.kvctl("status", "--scheduler", c.address, "--timeout-ms", "500", *flags,
                                 check=False)
                self.assertEqual(result.returncode, 1)
                self.assertIn(pattern, result.stdout)
            refused = c.kvctl("delete", "x", "--scheduler", c.address, "--tls-dir",
                              self.tls["viewer"], check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("'viewer' is of: viewer; expected of: admin", refused.stdout)
            self.assert_all_done(workers)

    def test_a_certificate_of_one_rank_is_of_no_use_to_another(self):
        pinned = self.authority.issue("w1", "--role", "worker", "--rank", "1")
        with cluster.Cluster(workers=2, servers=1, tls=self.tls) as c:
            wrong = c.start_worker(0, env={"KVSTORE_TLS_DIR": pinned})
            self.assertNotEqual(wrong.wait(), 0)
            self.assertIn("the certificate of 'w1' is for worker 1, it was used to register worker 0",
                          wrong.text())
            self.assert_all_done([c.start_worker(0, "--rounds", 5),
                                  c.start_worker(1, "--rounds", 5, env={"KVSTORE_TLS_DIR": pinned})])

    def test_a_certificate_of_one_host_is_of_no_use_on_another(self):
        elsewhere = self.authority.issue("ps-9", "--role", "server", "--node", "ps-9")
        with cluster.Cluster(workers=1, servers=1, tls=self.tls, own_servers=True) as c:
            server = c.start("server", [
                os.path.join(cluster.BIN, "kvstored"), "--scheduler", c.address, "--listen",
                c.free_address(), "--tls-dir", elsewhere])
            self.assertNotEqual(server.wait(), 0)
            self.assertIn("the certificate of 'ps-9' is for the server of host ps-9", server.text())

    def test_certificates_are_renewed_under_a_job_and_a_broken_one_changes_nothing(self):
        tls = dict(self.tls, server=self.authority.issue("renewed", "--role", "server"))
        with cluster.Cluster(tls=tls) as c:
            workers = c.start_workers("--rounds", 150, "--delay-ms", 40)
            workers[0].expect("round 2")
            cut = read(tls["server"], "cert.pem")
            with open(os.path.join(tls["server"], "cert.pem"), "wb") as file:
                file.write(cut[:len(cut) // 2])
            for daemon in (c.scheduler, *c.server):
                daemon.expect("new TLS files are not taken.*cert.pem: a certificate in PEM expected")
            c.kvctl("status", "--scheduler", c.address, "--tls-dir", tls["viewer"])
            self.authority.issue("renewed", "--role", "server", "--name", "the next one")
            for daemon in (c.scheduler, *c.server):
                daemon.expect("new TLS files: the certificate of 'the next one'")
            c.kvctl("status", "--scheduler", c.address, "--tls-dir", tls["viewer"])
            self.assert_all_done(workers)

    def test_tls_12_is_not_spoken(self):
        with cluster.Cluster(workers=1, servers=1, tls=self.tls) as c:
            host, port = c.address.split(":")
            for version, right in ((ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, False)):
                context = ssl.create_default_context(cadata=read(self.tls["admin"], "ca.pem").decode())
                context.load_cert_chain(os.path.join(self.tls["admin"], "cert.pem"),
                                        os.path.join(self.tls["admin"], "key.pem"))
                context.minimum_version = context.maximum_version = version
                context.set_alpn_protocols(["h2"])
                with self.subTest(version=version), \
                        cluster.socket.create_connection((host, int(port))) as connection:
                    if right:
                        with context.wrap_socket(connection, server_hostname="127.0.0.1") as shaken:
                            self.assertEqual(shaken.version(), "TLSv1.3")
                    else:
                        with self.assertRaises(ssl.SSLError):
                            context.wrap_socket(connection, server_hostname="127.0.0.1")

    def test_run_brings_tls_to_all_processes_of_a_job(self):
        everything = self.authority.issue("all", "--role", "worker", "--role", "server")
        result = kvctl("run", "-n", "2", "-s", "2", "--verbose", "--tls-dir", everything, "--",
                       os.path.join(cluster.TESTS, "train_worker"), "--rounds", "5")
        self.assertIn("TLS as 'all' (worker, server)", result.stdout)

    def test_wrong_settings_end_a_daemon_with_2_and_say_why(self):
        viewer = self.tls["viewer"]
        broken = self.authority.issue("broken", "--role", "server")
        shutil.copy(os.path.join(viewer, "key.pem"), broken)
        loose = self.authority.issue("loose", "--role", "server")
        os.chmod(os.path.join(loose, "key.pem"), 0o644)
        daemon = [os.path.join(cluster.BIN, "kvscheduler"), "--listen", "127.0.0.1:0", "--workers",
                  "1", "--servers", "1"]
        for flags, pattern in (
                (["--tls-dir", "/nowhere"], "--tls-dir: cannot read /nowhere/cert.pem"),
                (["--tls-dir", broken], "the key of .*cert.pem expected"),
                (["--tls-dir", loose], "mode 0600 or 0640 expected.*got 0644"),
                (["--tls-dir", ""], "tls-dir"),
                (["--require-tls"], "--require-tls: tls-dir beside it expected")):
            with self.subTest(flags=flags):
                result = subprocess.run(daemon + flags, text=True, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, timeout=cluster.DEADLINE_S,
                                        check=False)
                self.assertEqual(result.returncode, 2, result.stdout)
                self.assertRegex(result.stdout, pattern)

    def test_kvctl_tls_says_what_is_wrong(self):
        path = self.authority.path
        for arguments, code, pattern in (
                (("init", path), 1, "ca-key.pem is there already"),
                (("issue", path, "/tmp/x", "--role", "root"), 2, "root"),
                (("issue", path, "/tmp/x"), 2, "--role"),
                (("issue", path, "/tmp/x", "--role", "viewer", "--rank", "1"), 2,
                 "--rank: --role worker expected"),
                (("issue", path, "/tmp/x", "--role", "worker", "--node", "h"), 2,
                 "--node: --role server expected"),
                (("issue", path, "/tmp/x", "--role", "server", "--node", "h,DNS:evil"), 2,
                 "a host's name or address expected"),
                (("issue", path, "/tmp/x", "--role", "server", "--days", "0"), 2, "days"),
                (("issue", path, "/tmp/x", "--role", "server", "--name", "n" * 65), 2, "64"),
                (("issue", "/nowhere", "/tmp/x", "--role", "server"), 1, "/nowhere/ca.pem"),
                (("show", "/nowhere"), 1, "/nowhere/cert.pem")):
            with self.subTest(arguments=arguments):
                result = kvctl("tls", *arguments, check=False)
                self.assertEqual(result.returncode, code, result.stdout)
                self.assertIn(pattern, result.stdout)

    def test_kvctl_tls_show_tells_what_openssl_says(self):
        folder = self.authority.issue("w7", "--role", "worker", "--rank", "7", "--days", "3")
        shown = json.loads(kvctl("tls", "show", folder, "--output", "json").stdout)
        certificate = ssl._ssl._test_decode_cert(os.path.join(folder, "cert.pem"))
        self.assertEqual(shown["name"], dict(certificate["subject"][0])["commonName"])
        self.assertEqual(shown["issuer"], dict(certificate["issuer"][0])["commonName"])
        self.assertEqual(shown["not_after"], ssl.cert_time_to_seconds(certificate["notAfter"]))
        self.assertEqual(shown["not_before"], ssl.cert_time_to_seconds(certificate["notBefore"]))
        self.assertEqual(certificate["subjectAltName"], (("URI", "kvstore://worker/rank/7"),))
        self.assertEqual((shown["roles"], shown["rank"], shown["valid"]), (["worker"], 7, True))
        self.assertIn("now       valid", kvctl("tls", "show", folder).stdout)


if __name__ == "__main__":
    unittest.main()
