"""Several hosts on one machine: network namespaces that hang on one switch each network.

The test process gets namespaces of its own for network and mounts first (`enter`), so nothing of
this is seen outside, and all of it is gone when the process ends.

                     10.9.0.0/24, fd09::/64  (eth0 of every host)
              a .1            b .2            c .3
                     10.8.0.0/24             (eth1 of every host that is told so)
"""

import os
import subprocess
import sys

import cluster

CANNOT = 77  # the exit code that ctest takes for "skipped"
_MARK = "KVS_TEST_IN_NAMESPACE"


def enter():
    """Runs the program again in namespaces of its own, as root of them. Ends it with CANNOT, and
    with the reason, where that is not allowed."""
    if os.environ.get(_MARK):
        # The names of namespaces are files: ours are in a folder that nobody else sees.
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        return
    command = ["unshare", "--net", "--mount"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    trial = subprocess.run([*command, "sh", "-c", "mount -t tmpfs tmpfs /run && ip netns add x"],
                           capture_output=True, text=True, check=False)
    if trial.returncode != 0:
        print("SKIPPED: network namespaces cannot be made here: "
              f"{' '.join(command)}: {trial.stderr.strip()}")
        sys.exit(CANNOT)
    os.environ[_MARK] = "1"
    os.execvp(command[0], [*command, sys.executable, *sys.argv])


def ip(*arguments):
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"ip {' '.join(arguments)}: {result.stderr}"


class Host:
    """One namespace, `name`, plugged into `switches`. `processes` are killed by Hosts."""

    def __init__(self, name, number, switches):
        self.name, self.number, self._switches = name, number, switches
        self.v4, self.v6, self.second_v4 = f"10.9.0.{number}", f"fd09::{number}", None
        ip("netns", "add", name)
        self.ip("link", "set", "lo", "up")
        self._plug(0)
        self.ip("addr", "add", f"{self.v4}/24", "dev", "eth0")
        # "nodad": usable at once, without asking the others for a second.
        self.ip("addr", "add", f"{self.v6}/64", "dev", "eth0", "nodad")

    def _plug(self, interface):
        device, outside = f"eth{interface}", f"{self.name}-eth{interface}"
        ip("link", "add", outside, "type", "veth", "peer", "name", device, "netns", self.name)
        ip("link", "set", outside, "master", self._switches[interface], "up")
        self.ip("link", "set", device, "up")

    def second_interface(self):
        self.second_v4 = f"10.8.0.{self.number}"
        self._plug(1)
        self.ip("addr", "add", f"{self.second_v4}/24", "dev", "eth1")

    def ip(self, *arguments):
        ip("-n", self.name, *arguments)

    def command(self, program, *arguments):
        return ["ip", "netns", "exec", self.name, program, *arguments]


class Hosts:
    """`with Hosts("a", "b") as hosts:`, then hosts.a, hosts.start(hosts.a, ...)."""

    # The kernel takes a namespace down after `ip netns del` has returned, and its interfaces, whose
    # other ends are ours, with it: names are used once, so that nothing waits for that.
    _made = 0

    def __init__(self, *names):
        Hosts._made += 1
        self.processes = []
        self._switches = [f"net{interface}-{Hosts._made}" for interface in (0, 1)]
        self._names = [f"{name}{Hosts._made}" for name in names]
        for switch in self._switches:
            ip("link", "add", switch, "type", "bridge")
            ip("link", "set", switch, "up")
        for number, name in enumerate(names, 1):
            setattr(self, name, Host(self._names[number - 1], number, self._switches))

    def __enter__(self):
        return self

    def __exit__(self, error=None, *_):
        if error is not None:
            print("\n".join(process.text() for process in self.processes))
        for process in self.processes:
            if process.running():
                process.kill()
            process.wait()
        for name in self._names:
            ip("netns", "del", name)
        for switch in self._switches:
            ip("link", "del", switch)

    def start(self, host, program, *arguments, env=None):
        """A program of ours on a host."""
        folder = cluster.TESTS if program == "train_worker" else cluster.BIN
        process = cluster.Process(f"{program} on {host.name}",
                                  host.command(os.path.join(folder, program), *arguments), env)
        self.processes.append(process)
        return process

    def start_scheduler(self, host, address, workers=1, servers=1, *flags):
        """Returns HOST:PORT; the process is `self.scheduler`."""
        self.scheduler = self.start(host, "kvscheduler", "--listen", address, "--workers",
                                    str(workers), "--servers", str(servers), *flags)
        return self.scheduler.expect(r"^kvscheduler listening on (\S+)$").group(1)

    def start_server(self, host, scheduler, *flags, env=None):
        """Its address, as it announces it, is `address` of what is returned."""
        server = self.start(host, "kvstored", "--shards", "2", *flags,
                            env={"KVSTORE_SCHEDULER": scheduler, **(env or {})})
        server.address = server.expect(r"^kvstored listening on (\S+)$").group(1)
        return server

    def start_worker(self, host, scheduler, *arguments, env=None):
        return self.start(host, "train_worker", *arguments,
                          env={"KVSTORE_SCHEDULER": scheduler, **(env or {})})
