"""Real processes for the tests: a scheduler, servers and workers on this machine.

Nothing here sleeps to wait: lines of the processes are read with deadlines (`Process.expect`), ends
are waited for with deadlines. Every process of a `Cluster` is killed when it is closed.
"""

import os
import queue
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

BIN = os.environ["KVS_TEST_BIN"]  # folder of kvscheduler, kvstored, kvctl
TESTS = os.environ["KVS_TEST_PROGRAMS"]  # folder of train_worker
DEADLINE_S = float(os.environ.get("KVS_TEST_DEADLINE_S", "60"))


class Process:
    """One process; its stdout and stderr lines are kept and can be waited for."""

    def __init__(self, name, command, env=None):
        self.name = name
        self.lines = []
        self._new = queue.Queue()
        full = {k: v for k, v in os.environ.items() if not k.startswith(("KVSTORE_", "DMLC_", "PS_"))}
        full.update(env or {})
        self.popen = subprocess.Popen(
            command, env=full, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, bufsize=1)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.popen.stdout:
            self.lines.append(line.rstrip("\n"))
            self._new.put(self.lines[-1])
        self._new.put(None)

    def expect(self, pattern, seconds=None):
        """The match of the next unread line that has `pattern`; AssertionError at the deadline."""
        end = time.monotonic() + (seconds or DEADLINE_S)
        while True:
            try:
                line = self._new.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"{self.name} (exit code {self.popen.poll()}): no line with "
                                     f"{pattern!r} in:\n" + self.text())
            match = re.search(pattern, line)
            if match:
                return match

    def wait(self, seconds=None):
        """The exit code; AssertionError at the deadline."""
        try:
            code = self.popen.wait(seconds or DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end:\n" + self.text()) from None
        self._reader.join()
        self.popen.stdout.close()
        return code

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)

    def resident_bytes(self):
        with open(f"/proc/{self.popen.pid}/status", encoding="ascii") as file:
            return 1024 * next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

    def running(self):
        return self.popen.poll() is None

    def text(self):
        return "\n".join(f"[{self.name}] {line}" for line in list(self.lines))


def _reserve_port(host):
    """A socket that keeps a port of `host` for whoever is to listen there, and again after its end.

    Bound and not listening, with SO_REUSEADDR as gRPC's sockets have it: a daemon can listen there
    beside it, but the kernel gives the port to no other program that takes any free one, so that a
    daemon that was killed finds its port free when it comes back."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reserved = socket.socket(family)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind((host.strip("[]"), 0))
    return reserved


class Cluster:
    """`with Cluster(workers=2, servers=2) as cluster:`"""

    def __init__(self, workers=2, servers=2, shards=1, time_scale=1.0, host="127.0.0.1",
                 scheduler_flags=(), server_flags=(), own_servers=False, tls=None):
        """`own_servers`: the test starts them itself. `tls`: folders with certificates, by role."""
        self.workers, self.servers, self.shards = workers, servers, shards
        self.time_scale, self.host = time_scale, host
        self.scheduler_flags, self.server_flags = list(scheduler_flags), list(server_flags)
        self.tls = tls
        if tls:
            for flags in (self.scheduler_flags, self.server_flags):
                flags += ["--tls-dir", tls["server"]]
        self._state = tempfile.TemporaryDirectory(prefix="kvstore-test-")
        self.processes = []
        self.address = None
        self._reserved = []
        self.scheduler = self.start_scheduler(self.free_address())
        self.address = self.scheduler.expect(r"^kvscheduler listening on (\S+)$").group(1)
        self.server = [self.start_server() for _ in range(0 if own_servers else servers)]

    def __enter__(self):
        return self

    def __exit__(self, error=None, *_):
        if error is not None:
            print(self.text())
        for process in self.processes:
            if process.running():
                process.signal(signal.SIGCONT)
                process.kill()
        for process in self.processes:
            process.wait()
        for reserved in self._reserved:
            reserved.close()
        self._state.cleanup()

    def start(self, name, command, env=None):
        process = Process(name, command, env)
        self.processes.append(process)
        return process

    def free_address(self):
        """Where nobody else listens as long as the cluster is there."""
        self._reserved.append(_reserve_port(self.host))
        return f"{self.host}:{self._reserved[-1].getsockname()[1]}"

    def start_scheduler(self, listen):
        return self.start("scheduler", [
            os.path.join(BIN, "kvscheduler"), "--listen", listen, "--workers", str(self.workers),
            "--servers", str(self.servers), "--state-dir", self._state.name,
            "--time-scale", str(self.time_scale), *self.scheduler_flags])

    def restart_scheduler(self):
        """Starts it again on the same address and state."""
        self.scheduler = self.start_scheduler(self.address)
        self.scheduler.expect(r"^kvscheduler listening on ")

    def start_server(self, listen=None, limit_mib=None):
        """`limit_mib`: of addresses, so that the system gives it no more memory."""
        limited = [] if limit_mib is None else ["prlimit", f"--as={limit_mib << 20}"]
        server = self.start(f"server {len(self.processes)}", [
            *limited, os.path.join(BIN, "kvstored"), "--scheduler", self.address, "--listen",
            listen or self.free_address(), "--shards", str(self.shards),
            "--time-scale", str(self.time_scale), *self.server_flags])
        server.address = server.expect(r"^kvstored listening on (\S+)$").group(1)
        return server

    def env(self, rank=None):
        env = {"KVSTORE_SCHEDULER": self.address, "KVSTORE_ROLE": "worker",
               "KVSTORE_NUM_WORKERS": str(self.workers), "KVSTORE_NUM_SERVERS": str(self.servers),
               "KVSTORE_TIME_SCALE": str(self.time_scale)}
        if rank is not None:
            env["KVSTORE_RANK"] = str(rank)
        if self.tls:
            env["KVSTORE_TLS_DIR"] = self.tls["worker"]
        return env

    def start_worker(self, rank, *arguments, env=None, prefix=()):
        """`prefix`: a command that runs it."""
        return self.start(f"worker {rank}",
                          [*prefix, os.path.join(TESTS, "train_worker"), *map(str, arguments)],
                          {**self.env(rank), **(env or {})})

    def start_workers(self, *arguments):
        return [self.start_worker(rank, *arguments) for rank in range(self.workers)]

    def kvctl(self, *arguments, check=True):
        result = subprocess.run([os.path.join(BIN, "kvctl"), *arguments], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=DEADLINE_S, check=False)
        if check:
            assert result.returncode == 0, result.stdout
        return result

    def status(self):
        return self.kvctl("status", "--scheduler", self.address).stdout

    def text(self):
        return "\n".join(process.text() for process in self.processes)
