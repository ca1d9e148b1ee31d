import os
import resource
import signal
import subprocess
import time
import unittest

from relay_harness import NetworkScenario
from scenario import CULM, main

# A sanitizer reserves more memory than the limits of these tests allow.
SANITIZED = bool(os.environ.get("CULM_SANITIZE"))

MIB = 1 << 20
LARGE = 150_000_001
OWN_MEMORY_MAX = 64 * MIB


def limited():
    resource.setrlimit(resource.RLIMIT_DATA, (OWN_MEMORY_MAX, OWN_MEMORY_MAX))


def memory_of(pid):
    """What a process has of its own, in bytes; what it has mapped of files is not counted."""
    with open(f"/proc/{pid}/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return int(fields["VmData"].split()[0]) * 1024


@unittest.skipIf(SANITIZED, "memory is limited")
class Large(NetworkScenario):
    """Payloads that are larger than the memory that there is."""

    def large(self, size=LARGE, name="large"):
        block = os.urandom(MIB)
        with open(self.path(name), "wb") as file:
            for n in range(size // MIB + 1):
                file.write((b"%8d" % n + block[8:])[:size - n * MIB])
        return self.path(name)

    def assert_printed(self, author, path, *arguments, store="store"):
        with open(self.path("printed"), "wb") as out:
            self.run_culm("cat", author, *arguments, stdout=out, preexec_fn=limited, store=store)
        subprocess.run(["cmp", self.path("printed"), path], check=True)

    def test_is_appended_and_printed_in_little_memory(self):
        key, author = self.keygen()
        large = self.large()
        self.out("append", "--key", key, self.write("a", "small"), large, preexec_fn=limited)
        self.assert_printed(author, large, "--range", 2)
        self.out("append", "--key", key, "--end", preexec_fn=limited)
        sizes = [line["payload_size"] for line in self.json_lines("log", author)]
        self.assertEqual(sizes, [5, LARGE, 0])
        self.out("verify", preexec_fn=limited)

    def test_a_line_may_be_large_too(self):
        key, author = self.keygen()
        line = os.urandom(MIB).replace(b"\n", b" ") * 90
        lines = self.write("lines", b"first\n" + line + b"\nlast\n" + line)
        self.out("append", "--key", key, "--lines", lines, preexec_fn=limited)
        sizes = [row["payload_size"] for row in self.json_lines("log", author)]
        self.assertEqual(sizes, [5, 90 * MIB, 4, 90 * MIB])
        self.assert_printed(author, self.write("line", line), "--range", 4)

    def test_is_appended_beside_a_node_in_little_memory_of_either(self):
        key, author = self.keygen()
        self.out("append", "--key", key, stdin=b"first", store="relay")
        relay = self.relay()
        allowed = memory_of(relay.process.pid) + OWN_MEMORY_MAX
        resource.prlimit(relay.process.pid, resource.RLIMIT_DATA, (allowed, allowed))
        large = self.large()
        self.out("append", "--key", key, large, preexec_fn=limited, store="relay")
        self.out("append", "--key", key, stdin=b"last", store="relay")
        self.assert_printed(author, large, "--range", 2, store="relay")
        self.sync_one("other", relay.address, author)
        self.assert_printed(author, large, "--range", 2, store="other")
        relay.end()
        self.assert_sound("relay", "other")

    def exported(self):
        """A log with a large payload, and a file of it; (author, payload, file)"""
        key, author = self.keygen()
        large = self.large(40_000_001)  # in hex more than a process may have
        self.out("append", "--key", key, self.write("a", "small"), large)
        self.out("export", author, "--jsonl", "-o", "file", preexec_fn=limited)
        return author, large, self.path("file")

    def test_is_exported_verified_and_imported_in_little_memory(self):
        author, large, file = self.exported()
        self.out("verify", "--jsonl", file, preexec_fn=limited)
        self.out("import", "--jsonl", file, preexec_fn=limited, store="other")
        self.assert_printed(author, large, "--range", 2, store="other")
        again = self.json("import", "--jsonl", file, preexec_fn=limited, store="other")
        self.assertEqual((again["entries_added"], again["payloads_added"]), (0, 0))
        self.assertEqual(self.json("ls", store="other")["interest"], "1-")
        self.assert_sound("other")

    def test_what_a_line_has_beside_its_entry_takes_little_memory(self):
        author = self.new_log(["one", "two", "three"])
        first, second, third = self.out("export", author, "--jsonl").splitlines(keepends=True)
        much = b"a" * OWN_MEMORY_MAX
        with open(self.path("file"), "wb") as file:
            file.writelines((b'{"x":"', much, b'",', first[1:], second, third))
        done = self.json("import", "--jsonl", self.path("file"), preexec_fn=limited, store="other")
        self.assertEqual((done["entries_added"], done["payloads_added"]), (3, 3))
        self.assert_sound("other")

    def test_is_imported_from_a_pipe_beside_a_node_in_little_memory_of_either(self):
        author, large, file = self.exported()
        self.new_log(["of another"], key=self.keygen("other.key"), store="relay")
        relay = self.relay()
        allowed = memory_of(relay.process.pid) + OWN_MEMORY_MAX
        resource.prlimit(relay.process.pid, resource.RLIMIT_DATA, (allowed, allowed))
        with subprocess.Popen(["cat", file], stdout=subprocess.PIPE) as cat:
            subprocess.run([CULM, "--store", self.path("relay"), "import", "--jsonl", "-"],
                           stdin=cat.stdout, check=True, cwd=self.place, env=self.environment,
                           stdout=subprocess.DEVNULL, preexec_fn=limited)
        self.assert_printed(author, large, "--range", 2, store="relay")
        relay.end()
        self.assert_sound("relay")

    def wait_for_parts(self, store):
        deadline = time.monotonic() + 60
        while self.json("du", store=store)["staged_bytes"] == 0:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def killed_append(self, key, store):
        """An append that is killed when parts of its payload are in the store."""
        self.environment["CULM_STORE"] = self.path(store)
        appender = self.start("append", "--key", key, stdin=subprocess.PIPE)
        appender.stdin.write(os.urandom(20 * MIB))
        appender.stdin.flush()
        self.wait_for_parts(store)
        appender.send_signal(signal.SIGKILL)
        appender.wait()

    def test_of_an_append_that_was_killed_nothing_stays(self):
        key, author = self.keygen()
        self.out("append", "--key", key, stdin=b"first", store="store")
        self.killed_append(key, "store")
        self.assertEqual(self.json("ls")["head"], 1)
        self.assertEqual(self.json("verify")["ok"], True)
        self.out("append", "--key", key, stdin=b"second")
        self.assertEqual(self.json("du")["staged_bytes"], 0)
        self.assertEqual(self.out("cat", author), b"firstsecond")
        self.out("verify")

    def test_nor_where_a_node_was_writing_it(self):
        key, author = self.keygen()
        self.out("append", "--key", key, stdin=b"first", store="relay")
        relay = self.relay()
        self.killed_append(key, "relay")
        self.out("append", "--key", key, stdin=b"second", store="relay")
        self.assertEqual(self.json("du", store="relay")["staged_bytes"], 0)
        relay.end()
        self.assertEqual(self.out("cat", author, store="relay"), b"firstsecond")
        self.assert_sound("relay")

    def test_that_arrives_keeps_no_other_append_waiting_nor_is_lost_by_it(self):
        key, author = self.keygen()
        self.out("append", "--key", key, stdin=b"first")
        appender = self.start("append", "--key", key, stdin=subprocess.PIPE)
        appender.stdin.write(b"x" * 20 * MIB)
        appender.stdin.flush()
        self.wait_for_parts("store")
        self.out("append", "--key", key, "--wait", 0, stdin=b"second")
        appender.communicate(b"end", timeout=60)
        self.assertEqual(appender.returncode, 0)
        sizes = [line["payload_size"] for line in self.json_lines("log", author)]
        self.assertEqual(sizes, [5, 6, 20 * MIB + 3])
        self.out("verify")


if __name__ == "__main__":
    main()
