"""`kvctl run` with stand-ins for the daemons: what it starts, prints and returns, and that nothing
outlives it. tests/integration runs it with the real ones.

Nothing sleeps: ends of processes are waited for with pidfds and deadlines.
"""

import os
import pathlib
import pty
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

KVCTL = sys.argv.pop(1)
DEADLINE_S = 30

# Stand-ins: note their arguments, announce, and live until a signal ends them.
SCHEDULER = """#!/bin/sh
echo "$@" > "$NOTES/scheduler"
echo "kvscheduler starts" >&2
echo "kvscheduler listening on 127.0.0.1:4242"
exec tail -f /dev/null
"""
SERVER = """#!/bin/sh
echo "$@" >> "$NOTES/servers"
echo "kvstored listening on 127.0.0.1:4243"
exec tail -f /dev/null
"""


def servers_up(count):
    """A worker's words: wait until so many stand-ins have noted their arguments."""
    return f'tail -n +1 -F "$NOTES/servers" 2>/dev/null | head -n {count} >/dev/null; '


def descendants(pid):
    """All processes below `pid`."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split():
            found += [int(child)] + descendants(int(child))
    return found


class KvctlRun(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self._folder.name)
        shutil.copy(KVCTL, self.folder / "kvctl")
        self.install("kvscheduler", SCHEDULER)
        self.install("kvstored", SERVER)
        self.started = []

    def tearDown(self):
        for process in self.started:
            process.kill()
            process.wait()
            process.stdout.close()
        self._folder.cleanup()

    def install(self, name, script):
        path = self.folder / name
        path.write_text(script)
        path.chmod(0o755)

    def environment(self, **added):
        return {**os.environ, "NOTES": str(self.folder), **added}

    def command(self, script, workers=2, servers=2, options=()):
        return [str(self.folder / "kvctl"), "run", "-n", str(workers), "-s", str(servers), *options,
                "--", "sh", "-c", script]

    def run_kvctl(self, script, **kwargs):
        """Runs to the end; returns exit code, stdout, stderr."""
        run = subprocess.run(self.command(script, **kwargs), env=self.environment(),
                             capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        return run.returncode, run.stdout, run.stderr

    def start(self, script, **kwargs):
        """Starts kvctl; stdout and stderr in one pipe."""
        process = subprocess.Popen(
            self.command(script, **kwargs), env=self.environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.started.append(process)
        return process

    def read_until(self, process, count, word):
        """Reads until `count` lines with `word` were seen; all lines read."""
        lines = []
        while count > 0:
            line = process.stdout.readline()
            self.assertTrue(line, f"ended before '{word}' came: {lines}")
            lines.append(line)
            count -= word in line
        return lines

    def assert_all_end(self, pidfds):
        """Every process ends before the deadline."""
        end = time.monotonic() + DEADLINE_S
        for fd in pidfds:
            ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
            self.assertTrue(ready, "a process is left")
            os.close(fd)

    def test_workers_get_the_cluster_in_their_environment(self):
        code, out, err = self.run_kvctl(
            servers_up(2) + "env | grep -E '^(KVSTORE|DMLC)_' | sort | tr '\\n' ' '; echo; echo oops >&2")
        self.assertEqual(code, 0, err)
        for rank in (0, 1):
            self.assertIn(
                f"[worker {rank}] DMLC_NUM_SERVER=2 DMLC_NUM_WORKER=2 DMLC_PS_ROOT_PORT=4242 "
                f"DMLC_PS_ROOT_URI=127.0.0.1 DMLC_ROLE=worker DMLC_WORKER_ID={rank} "
                f"KVSTORE_NUM_SERVERS=2 KVSTORE_NUM_WORKERS=2 KVSTORE_RANK={rank} "
                "KVSTORE_ROLE=worker KVSTORE_SCHEDULER=127.0.0.1:4242 KVSTORE_TIME_SCALE=1", out)
            self.assertIn(f"[worker {rank}] oops\n", err)
        self.assertIn("[scheduler] kvscheduler starts\n", err)
        self.assertEqual((self.folder / "scheduler").read_text(),
                         "--listen 127.0.0.1:0 --workers 2 --servers 2 --time-scale 1\n")
        self.assertEqual(
            "".join(sorted((self.folder / "servers").read_text().splitlines(keepends=True))),
            "".join(f"--scheduler 127.0.0.1:4242 --listen 127.0.0.1:0 --rank {rank} --time-scale 1\n"
                    for rank in (0, 1)))
        self.assertNotIn("\x1b", out + err)

    def test_a_server_program_runs_in_the_place_of_kvstored(self):
        self.install("mine", SERVER.replace('echo "$@"', "env | grep -E '^(KVSTORE|DMLC)_' | sort"))
        code, _, err = self.run_kvctl(
            servers_up(20), options=("--server-program", str(self.folder / "mine"), "--shards", "3"))
        self.assertEqual(code, 0, err)
        noted = (self.folder / "servers").read_text()
        for rank in (0, 1):
            self.assertIn(f"KVSTORE_SERVER_RANK={rank}\n", noted)
        for setting in ("DMLC_NUM_SERVER=2", "DMLC_NUM_WORKER=2", "DMLC_PS_ROOT_PORT=4242",
                        "DMLC_PS_ROOT_URI=127.0.0.1", "DMLC_ROLE=server",
                        "KVSTORE_LISTEN=127.0.0.1:0", "KVSTORE_NUM_SERVERS=2",
                        "KVSTORE_NUM_WORKERS=2", "KVSTORE_ROLE=server",
                        "KVSTORE_SCHEDULER=127.0.0.1:4242", "KVSTORE_SHARDS=3",
                        "KVSTORE_TIME_SCALE=1"):
            self.assertEqual(noted.splitlines().count(setting), 2, noted)
        self.assertNotIn("KVSTORE_RANK", noted)

    def test_a_server_program_that_is_not_there_is_named(self):
        code, _, err = self.run_kvctl("true", options=("--server-program", "/no/such/server"))
        self.assertEqual(code, 127, err)
        self.assertIn("/no/such/server", err)
        self.assertNotIn("beside kvctl", err)

    def test_a_server_program_that_never_serves_is_named(self):
        shutil.copy(pathlib.Path(KVCTL).with_name("kvscheduler"), self.folder)
        self.install("mine", "#!/bin/sh\nexit 0\n")
        mine = str(self.folder / "mine")
        code, _, err = self.run_kvctl("exec tail -f /dev/null", options=("--server-program", mine))
        self.assertEqual(code, 1, err)
        self.assertRegex(err, f"kvctl: server [01] failed: '{mine}' returned 0 while the job was "
                              "forming; a server program calls RunServer, which serves until the job "
                              "is over\n")
        self.assertEqual(err.count("failed"), 1, err)

    def test_the_terminal_belongs_to_the_workers(self):
        """Of the daemons: when the job starts and ends, once, warnings and errors."""
        stamp = "2026-11-28T14:41:02.950"
        self.install("kvscheduler", SCHEDULER.replace("exec tail", f"""
            echo "{stamp} I kvscheduler: registered server 1" >&2
            echo "{stamp} I kvscheduler: job 1 starts: dist_sync" >&2
            echo "{stamp} W kvscheduler: worker 1 is suspect" >&2
            exec tail"""))
        self.install("kvstored", SERVER.replace("exec tail", f"""
            echo "{stamp} I kvstored: job 1 epoch 1: dist_sync" >&2
            echo "{stamp} E kvstored: something broke" >&2
            echo said >"$NOTES/said"
            exec tail"""))
        os.mkfifo(self.folder / "said")
        for options, whole in (((), False), (("--verbose",), True)):
            code, out, err = self.run_kvctl('read line <"$NOTES/said"; echo hello', workers=1,
                                            servers=1, options=options)
            self.assertEqual(code, 0, err)
            self.assertIn("[worker 0] hello\n", out)
            self.assertEqual("listening on" in out, whole, out)
            self.assertEqual("registered server 1" in err, whole, err)
            self.assertEqual("job 1 epoch 1" in err, whole, err)
            stamped = f"{stamp} I kvscheduler: " if whole else ""
            self.assertIn(f"[scheduler] {stamped}job 1 starts: dist_sync\n", err)
            self.assertIn("worker 1 is suspect\n", err)
            if not whole:
                self.assertIn("[scheduler] warning: worker 1 is suspect\n", err)
                self.assertIn("[server 0] error: something broke\n", err)

    def test_with_the_real_daemons_a_job_is_told_in_three_lines(self):
        """What cli/daemon_line.cc looks for is what the daemons write."""
        for program in ("kvscheduler", "kvstored", "digits"):
            shutil.copy(pathlib.Path(KVCTL).with_name(program), self.folder)
        data = pathlib.Path(__file__).parents[2] / "examples/digits/data/digits.csv"
        command = [str(self.folder / "kvctl"), "run", "-n", "2", "-s", "2", "--",
                   str(self.folder / "digits"), "--data", str(data), "--store", "dist_sync",
                   "--epochs", "1", "--hidden", "8"]
        run = subprocess.run(command, env=self.environment(), capture_output=True, text=True,
                             timeout=DEADLINE_S, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertNotIn("listening", run.stdout)
        lines = run.stderr.splitlines()
        self.assertRegex(lines[0], r"^kvctl: scheduler [0-9.:]+, 2 servers, 2 workers$")
        self.assertRegex(lines[1], r"^\[scheduler\] job 1 starts: dist_sync")
        self.assertRegex(lines[2], r"^\[scheduler\] job 1 finished: ")
        self.assertEqual(len(lines), 3, run.stderr)

    def test_variables_of_another_cluster_do_not_reach_the_processes(self):
        for name, script in (("kvscheduler", SCHEDULER), ("kvstored", SERVER)):
            self.install(name, script.replace("#!/bin/sh\n", f'#!/bin/sh\nenv > "$NOTES/{name}.env"\n'))
        run = subprocess.run(
            self.command(servers_up(1) + "env", workers=1, servers=1),
            env=self.environment(KVSTORE_STATE_DIR="x", KVSTORE_ADVERTISE="x", DMLC_NODE_HOST="x",
                                 KVSTORE_LISTEN="x", KVSTORE_LOG_LEVEL="warn"),
            capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        for text in (run.stdout, (self.folder / "kvscheduler.env").read_text(),
                     (self.folder / "kvstored.env").read_text()):
            self.assertNotIn("=x\n", text)
            self.assertIn("KVSTORE_LOG_LEVEL=warn\n", text)

    def test_options_reach_the_daemons(self):
        code, out, _ = self.run_kvctl(servers_up(1) + "echo scale $KVSTORE_TIME_SCALE",
                                      options=["--shards", "3", "--time-scale", "2.5"], servers=1)
        self.assertEqual(code, 0)
        self.assertIn("scale 2.5", out)
        self.assertIn("--time-scale 2.5", (self.folder / "scheduler").read_text())
        self.assertIn("--time-scale 2.5 --shards 3", (self.folder / "servers").read_text())

    def test_the_first_failure_is_named_and_its_code_handed_on(self):
        code, _, err = self.run_kvctl(
            'if [ "$KVSTORE_RANK" = 1 ]; then exit 7; fi; exec tail -f /dev/null')
        self.assertEqual(code, 7)
        self.assertIn("kvctl: worker 1 failed: exit code 7\n", err)
        self.assertEqual(err.count("failed"), 1, err)

    def test_a_signal_is_named_and_becomes_128_plus_its_number(self):
        code, _, err = self.run_kvctl("kill -SEGV $$", workers=1)
        self.assertEqual(code, 128 + signal.SIGSEGV)
        self.assertIn("kvctl: worker 0 failed: killed by SIGSEGV\n", err)

    def test_a_failing_server_is_named(self):
        self.install("kvstored", "#!/bin/sh\necho 'bad state: no table' >&2\nexit 4\n")
        code, _, err = self.run_kvctl("exec tail -f /dev/null", servers=1)
        self.assertEqual(code, 4)
        self.assertIn("[server 0] bad state: no table\n", err)
        self.assertIn("kvctl: server 0 failed: exit code 4\n", err)
        self.assertLess(err.index("bad state"), err.index("failed"))

    def test_a_scheduler_that_does_not_start_is_named(self):
        self.install("kvscheduler", "#!/bin/sh\necho 'port taken' >&2\nexit 1\n")
        code, _, err = self.run_kvctl("echo never")
        self.assertEqual(code, 1)
        self.assertIn("[scheduler] port taken\n", err)
        self.assertIn("kvctl: scheduler failed: exit code 1\n", err)

    def test_a_scheduler_that_ends_well_without_announcing_is_an_error(self):
        self.install("kvscheduler", "#!/bin/sh\nexit 0\n")
        code, _, err = self.run_kvctl("echo never")
        self.assertEqual(code, 1)
        self.assertIn("the scheduler ended before it said where it listens", err)

    def test_a_scheduler_that_ends_well_before_the_workers_is_an_error(self):
        os.mkfifo(self.folder / "end")
        self.install("kvscheduler", SCHEDULER.replace("exec tail -f /dev/null",
                                                      'read line <"$NOTES/end"; exit 0'))
        code, _, err = self.run_kvctl('echo now >"$NOTES/end"; exec tail -f /dev/null', workers=1)
        self.assertEqual(code, 1, err)
        self.assertIn("kvctl: scheduler failed: exit code 0 before the job was over\n", err)

    def test_programs_that_cannot_be_started(self):
        missing = subprocess.run(
            [self.folder / "kvctl", "run", "--", str(self.folder / "nothing")],
            env=self.environment(), capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(missing.returncode, 127)
        self.assertIn("cannot start", missing.stderr)
        self.assertIn("No such file or directory", missing.stderr)
        (self.folder / "text").write_text("no program")
        forbidden = subprocess.run(
            [self.folder / "kvctl", "run", "--", str(self.folder / "text")],
            env=self.environment(), capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(forbidden.returncode, 126)
        self.assertIn("Permission denied", forbidden.stderr)

    def test_usage_errors(self):
        for arguments in (["run"], ["run", "-n", "0", "--", "true"], ["stats"], []):
            run = subprocess.run([self.folder / "kvctl", *arguments], capture_output=True, text=True,
                                 timeout=DEADLINE_S, check=False)
            self.assertEqual(run.returncode, 2, arguments)

    def test_status_tries_again_until_its_timeout(self):
        """A first connection that breaks is no answer; one that nobody takes is, in time."""
        with socket.create_server(("127.0.0.1", 0)) as first:
            port = first.getsockname()[1]
            status = subprocess.Popen([KVCTL, "status", "--scheduler", f"127.0.0.1:{port}",
                                       "--timeout-ms", str(1000 * DEADLINE_S)],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            first.settimeout(DEADLINE_S)
            first.accept()[0].close()
        scheduler = subprocess.Popen(
            [pathlib.Path(KVCTL).with_name("kvscheduler"), "--listen", f"127.0.0.1:{port}",
             "--workers", "1", "--servers", "1"], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        try:
            out, err = status.communicate(timeout=DEADLINE_S)
        finally:
            scheduler.kill()
            scheduler.wait()
        self.assertEqual(status.returncode, 0, err)
        self.assertIn("0 of 1 workers", out)

        start = time.monotonic()
        nobody = subprocess.run([KVCTL, "status", "--scheduler", "127.0.0.1:1", "--timeout-ms", "300"],
                                capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(nobody.returncode, 1)
        self.assertIn("(tried for 300 ms)", nobody.stderr)
        self.assertGreaterEqual(time.monotonic() - start, 0.25)

    def test_status_and_version_from_outside(self):
        def kvctl(*arguments, **env):
            return subprocess.run([KVCTL, *arguments], capture_output=True, text=True,
                                  timeout=DEADLINE_S, env={**os.environ, **env})

        version = kvctl("version")
        self.assertEqual(version.returncode, 0)
        self.assertRegex(version.stdout, r"^(kvctl )?\d+\.\d+\.\d+")
        nobody = kvctl("status", "--scheduler", "127.0.0.1:1", "--timeout-ms", "500")
        self.assertEqual(nobody.returncode, 1)
        self.assertIn("127.0.0.1:1", nobody.stderr)
        for arguments, env, words in (
                (("status", "--scheduler", "h:1", "--output", "yaml"), {}, "yaml"),
                (("status",), {}, "--scheduler"),
                (("run", "-n", "abc", "--", "true"), {}, "abc"),
                (("run", "-n", "0", "--", "true"), {}, "0"),
                (("run", "--", "true"), {"KVSTORE_TIME_SCALE": "abc"}, "abc")):
            with self.subTest(arguments):
                refused = kvctl(*arguments, **env)
                self.assertEqual(refused.returncode, 2, refused)
                self.assertIn(words, refused.stderr)
        for command in ("run", "status", "version"):
            self.assertEqual(kvctl(command, "--help").returncode, 0)

    def test_who_ignores_sigterm_is_killed_after_the_grace(self):
        os.mkfifo(self.folder / "ready")
        code, _, err = self.run_kvctl(
            """trap '' TERM
               if [ "$KVSTORE_RANK" = 1 ]; then read line <"$NOTES/ready"; exit 3; fi
               echo ready >"$NOTES/ready"
               while :; do tail -f /dev/null; done""", options=["--grace-ms", "100"])
        self.assertEqual(code, 3)
        self.assertIn("kvctl: worker 0 did not end on SIGTERM: killed\n", err)

    def test_with_linger_the_others_may_say_what_they_saw(self):
        os.mkfifo(self.folder / "between")
        process = self.start(
            """if [ "$KVSTORE_RANK" = 1 ]; then exit 9; fi
               trap 'echo terminated; exit 1' TERM
               cat "$NOTES/between"; echo saw it; exit 5""", options=["--linger-ms", "600000"])
        self.read_until(process, 1, "worker 1 failed: exit code 9")
        with open(self.folder / "between", "w", encoding="ascii"):
            pass  # now worker 0 sees the end of the file
        output = process.stdout.read()
        self.assertEqual(process.wait(DEADLINE_S), 9)
        self.assertIn("[worker 0] saw it\n", output)
        self.assertNotIn("terminated", output)

    def test_output_is_whole(self):
        lines = 100000
        code, out, _ = self.run_kvctl(
            f"seq {lines}; printf 'no newline at the end'", workers=2, servers=1)
        self.assertEqual(code, 0)
        for rank in (0, 1):
            prefix = f"[worker {rank}] "
            mine = [line[len(prefix):] for line in out.splitlines() if line.startswith(prefix)]
            self.assertEqual(mine, [str(i) for i in range(1, lines + 1)] + ["no newline at the end"])

    def test_workers_read_nothing_from_the_terminal(self):
        code, out, _ = self.run_kvctl("wc -c", workers=1)
        self.assertEqual(code, 0)
        self.assertIn("[worker 0] 0\n", out)

    def test_log_dir_keeps_everything_and_leaves_the_terminal_to_the_workers(self):
        logs = self.folder / "new" / "logs"
        code, out, err = self.run_kvctl(servers_up(2) + "echo hello",
                                        options=["--log-dir", str(logs)])
        self.assertEqual(code, 0)
        self.assertIn("[worker 1] hello\n", out)
        self.assertNotIn("[scheduler]", out + err)
        self.assertNotIn("[server", out + err)
        self.assertEqual({path.name for path in logs.iterdir()},
                         {"scheduler.log", "server-0.log", "server-1.log", "worker-0.log",
                          "worker-1.log"})
        self.assertEqual((logs / "worker-1.log").read_text(), "hello\n")
        self.assertIn("kvscheduler starts", (logs / "scheduler.log").read_text())

    def test_colours_on_a_terminal_only_and_never_with_no_color(self):
        for no_colour in (False, True):
            ours, theirs = pty.openpty()
            added = {"NO_COLOR": "1"} if no_colour else {}
            environment = self.environment(**added)
            if not no_colour:
                environment.pop("NO_COLOR", None)
            run = subprocess.run(self.command("echo hello", workers=1), env=environment,
                                 stdout=theirs, stderr=subprocess.DEVNULL, timeout=DEADLINE_S,
                                 check=False)
            os.close(theirs)
            text = os.read(ours, 65536).decode()
            os.close(ours)
            self.assertEqual(run.returncode, 0)
            self.assertIn("hello", text)
            self.assertEqual("\x1b[" in text, not no_colour, repr(text))

    # A worker with a child of its own that it does not wait for, and one that does not care.
    FAMILY = """(trap '' TERM; while :; do tail -f /dev/null; done) &
                echo ready; exec tail -f /dev/null"""

    def family(self, process):
        """pidfds of everything below kvctl: guardian, daemons, workers and theirs."""
        self.read_until(process, 2, "] ready")
        pids = descendants(process.pid)
        self.assertGreaterEqual(len(pids), 1 + 1 + 2 + 2 * 2)
        return [os.pidfd_open(pid) for pid in pids]

    def test_ctrl_c_ends_everything(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process = self.start(self.FAMILY)
            pidfds = self.family(process)
            process.send_signal(number)
            output = process.stdout.read()
            self.assertEqual(process.wait(DEADLINE_S), 128 + number)
            self.assertIn(f"{number.name}: ending 2 workers, 2 servers and the scheduler", output)
            self.assert_all_end(pidfds)

    def test_a_second_ctrl_c_does_not_wait_for_the_grace(self):
        process = self.start("trap '' TERM; echo ready; while :; do tail -f /dev/null; done",
                             options=["--grace-ms", "600000"])
        pidfds = self.family_of_any_size(process)
        process.send_signal(signal.SIGINT)
        self.read_until(process, 1, "SIGINT: ending")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(DEADLINE_S), 130)
        self.assert_all_end(pidfds)

    def family_of_any_size(self, process):
        self.read_until(process, 2, "] ready")
        return [os.pidfd_open(pid) for pid in descendants(process.pid)]

    def test_nothing_outlives_kvctl_when_it_is_killed(self):
        process = self.start(self.FAMILY)
        pidfds = self.family(process)
        process.kill()
        process.wait(DEADLINE_S)
        self.assert_all_end(pidfds)

    def test_what_a_worker_leaves_behind_ends_with_the_job(self):
        process = self.start("""tail -f /dev/null & echo ready $!; read nothing; exit 0""",
                             workers=2)
        lines = self.read_until(process, 2, "] ready")
        left = [int(line.split()[-1]) for line in lines if "] ready" in line]
        self.assertEqual(process.wait(DEADLINE_S), 0)
        for pid in left:
            try:
                fd = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            self.assert_all_end([fd])

    def test_a_stopped_worker_ends_too(self):
        process = self.start("echo ready; kill -STOP $$; exec tail -f /dev/null")
        pidfds = self.family_of_any_size(process)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(DEADLINE_S), 130)
        self.assert_all_end(pidfds)


if __name__ == "__main__":
    unittest.main()
