"""A log of a million entries through everything: appended, synced whole, its newest hundred synced,
verified; and the same with a tenth of it, to see that memory does not grow with the log. Takes some
minutes, so it is no part of the test run:

    CULM=build/release/tools/culm python3 -B tests/e2e/million.py [ENTRIES]
"""

import subprocess
import sys
import time

from relay_harness import NetworkScenario
from scenario import CULM, main

ENTRIES = int(sys.argv.pop()) if len(sys.argv) > 1 else 1_000_000
NEWEST_ENTRIES_MAX = 131  # over all heads up to 10^6
GROWTH_BYTES_MAX = 8 << 20


def own_memory(pid):
    """Bytes of memory of the process itself; pages of the mapped store are the system's cache."""
    try:
        with open(f"/proc/{pid}/status") as status:
            for line in status:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) << 10
    except OSError:
        pass
    return 0


class Million(NetworkScenario):
    def watched(self, store, *arguments, stdin=None):
        """Runs a verb to its end; (seconds, most memory of its own)."""
        start = time.monotonic()
        most = 0
        with open(self.path("said"), "wb") as said:
            process = subprocess.Popen([CULM, "--store", self.path(store), *map(str, arguments)],
                                       cwd=self.place, env=self.environment, stdin=stdin,
                                       stdout=said, stderr=said)
            while True:
                most = max(most, own_memory(process.pid))
                try:
                    status = process.wait(0.02)
                    break
                except subprocess.TimeoutExpired:
                    continue
        with open(self.path("said")) as said:
            self.assertEqual(status, 0, said.read())
        return time.monotonic() - start, most

    def run_through(self, entries):
        """Each step's seconds and memory."""
        steps = {}
        name = f"{entries}"
        key, author = self.keygen(f"{name}.key")
        lines = self.write("lines", "".join(f"{n:0100}\n" for n in range(1, entries + 1)))
        steps["append"] = self.watched(f"{name}.author", "append", "--key", key, "--lines", lines)
        author_node = self.relay(f"{name}.author")
        steps["sync"] = self.watched(f"{name}.reader", "sync", author_node.address, author)
        steps["serve"] = (0, own_memory(author_node.process.pid))
        newest = self.sync_one(f"{name}.newest", author_node.address, author, "--newest", 100)
        self.assertEqual(newest["entries"], 100)
        self.assertLessEqual(newest["entries"] + newest["certificate_entries"], NEWEST_ENTRIES_MAX)
        again = self.sync_one(f"{name}.reader", author_node.address)
        self.assertEqual(again["entries"] + again["certificate_entries"], 0)
        author_node.end()
        steps["verify"] = self.watched(f"{name}.reader", "verify")
        self.out("verify", store=f"{name}.newest")
        held = self.json("ls", store=f"{name}.reader")
        self.assertEqual((held["entries"], held["payloads"], held["complete"]),
                         (entries, entries, True))
        self.assertEqual(self.printed(f"{name}.reader", author, "--range", f"{entries}"),
                         [f"{entries:0100}"])
        print(f"{entries:,} entries; newest 100 with {newest['certificate_entries']} certificate "
              "entries")
        for step, (seconds, memory) in steps.items():
            rate = f"{entries / seconds:10,.0f}/s" if seconds else " " * 12
            print(f"  {step:<8}{seconds:8.2f} s {rate} {memory / (1 << 20):7.1f} MiB of its own",
                  flush=True)
        return steps

    def test_memory_does_not_grow_with_the_log(self):
        small = self.run_through(ENTRIES // 10)
        large = self.run_through(ENTRIES)
        for step, (_, memory) in large.items():
            self.assertLess(memory, small[step][1] + GROWTH_BYTES_MAX, step)


if __name__ == "__main__":
    main()
