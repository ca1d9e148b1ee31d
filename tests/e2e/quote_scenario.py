"""What a sync costs: the quote agrees with what comes, and a budget is kept."""

import json
import os
import random
import re

from relay_harness import NetworkScenario
from scenario import NOT_FOUND, OK, USAGE, main

AROUND = 1_500  # handshake, have and quote, and the end


class Costs(NetworkScenario):
    def setUp(self):
        super().setUp()
        self.hub = self.relay("relay", "--accept-any")
        self.address = self.hub.address
        self.stores = 0

    def new_store(self):
        self.stores += 1
        return f"reader{self.stores}"

    def push_payloads(self, sizes):
        """A new author with a log of such payloads at the relay."""
        self.stores += 1
        key = self.keygen(f"{self.stores}.key")
        for size in sizes:
            self.out("append", "--key", key[0], stdin=os.urandom(size), store=f"author{key[1]}")
        self.sync_one(f"author{key[1]}", self.address, "--push")
        return key[1]

    def test_a_quote_agrees_with_what_comes(self):
        key, author = self.keygen()
        self.new_log([f"{n} " + n % 97 * "x" for n in range(1, 6001)], key=(key, author),
                     store="author")
        self.out("append", "--key", key, stdin=os.urandom(120_000), store="author")
        short = self.new_log(["the only one"], key=self.keygen("short.key"), store="author")
        self.sync("author", self.address, "--push")
        whole = ([], ["--newest", 5], ["--newest", 300], ["--range", "5-9,700-1000,3000"],
                 ["--entries-only"], ["--newest", 300, "--entries-only"], ["--newest-first"],
                 ["--verification", "full"])
        part = (["--range", "7000-"], ["--payload-max", 40],
                ["--range", "1000-5900", "--payload-max", 50])
        for flags, status in ((whole, OK), (part, NOT_FOUND)):
            for given in flags:
                with self.subTest(given):
                    self.assert_quoted(" ".join(map(str, given)) or "all", author, *given,
                                       status=status)
        self.assert_quoted("one", short)
        self.assert_quoted("both", author, short)
        self.assert_quoted("both", author, short)  # when nothing is missing
        self.sync("later", self.address, author, "--entries-only")
        self.assert_quoted("later", author, "--range", "1-")
        text = self.text("sync", self.address, author, short, "--quote", store="text")
        self.assertRegex(text, r"in all +6,002 ")

    def test_a_quote_agrees_whatever_the_payloads(self):
        for size in 1_000, 20_000, 200_000:
            author = self.push_payloads([size + 100 * n for n in range(12)])
            for given in ([], ["--newest-first"], ["--newest", 5], ["--newest", 5, "--newest-first"],
                          ["--budget", "10k"], ["--budget", "100k"], ["--budget", "500k"],
                          ["--budget", "100k", "--newest-first"],
                          ["--budget", "500k", "--newest-first"], ["--budget", "2M"],
                          ["--payload-max", size + 500],
                          ["--payload-max", size + 500, "--newest-first"],
                          ["--payload-max", size + 500, "--budget", "100k"]):
                with self.subTest((size, given)):
                    self.assert_quoted(self.new_store(), author, *given,
                                       status=(OK, USAGE, NOT_FOUND))

    def test_a_quote_says_what_a_large_budget_lets_come(self):
        large = [1_500_000, 9_000_000]
        mixed = self.push_payloads(large[:1] + 8 * [2_000, 40_000, 300_000] + large[1:])
        lines = self.new_log([f"{n} " + n % 1500 * "x" for n in range(1, 8001)],
                             key=self.keygen("lines.key"), store="lines")
        self.sync_one("lines", self.address, "--push")
        for author, budgets in (mixed, ("1M", "2M", "3500k", "6M", "20M")), (lines, ("1500k", "4M")):
            for budget in budgets:
                for given in ([], ["--newest-first"], ["--range", "2,5-20,3000-7000"],
                              ["--entries-only"], ["--payload-max", 50_000]):
                    with self.subTest((budget, given)):
                        self.assert_quoted(self.new_store(), author, "--budget", budget, *given,
                                           status=(OK, NOT_FOUND))
        # What is here in part already is whole in the end.
        store = self.new_store()
        for _ in range(4):
            self.assert_quoted(store, mixed, "--budget", "4M")

    def test_a_budget_is_kept(self):
        seed = random.randrange(2**32)
        chance = random.Random(seed)
        for size in 0, 100, 3_000, 32_768, 32_769, 100_000:
            author = self.push_payloads([chance.randrange(size + 1) for _ in range(11)] + [size])
            for budget in 1_000, 5_000, 30_000, 64 * 1024, 200_000, 1_000_000:
                for order in [], ["--newest-first"]:
                    with self.subTest((seed, size, budget, order)):
                        self.assert_kept(self.new_store(), author, budget, *order)

    def assert_kept(self, store, author, budget, *arguments):
        """Again and again, until all is here or nothing fits."""
        for _ in range(100):
            done = self.run_culm("sync", self.address, author, "--budget", budget, *arguments,
                                 "--json", store=store, status=(OK, USAGE))
            log, whole = map(json.loads, done.stdout.splitlines())
            self.assertLess(whole["bytes_received"], budget + budget // 50 + AROUND)
            if done.returncode == USAGE:
                self.assertLess(budget, 64 * 1024)
                self.assertIn(b"--budget 64KiB", done.stderr)
                self.assertEqual((log["state"], log["entries"]), ("budget", 0))
                return
            self.assertEqual(done.returncode, OK)
            if log["state"] == "complete":
                return
            self.assertEqual(log["state"], "budget")
        self.fail("it goes on for ever")

    def assert_quoted(self, store, *arguments, status=0):
        quotes = self.json_lines("sync", self.address, *arguments, "--quote", store=store)
        table = self.text("sync", self.address, *arguments, "--quote", store=store)
        logs, whole = self.sync(store, self.address, *arguments, status=status)
        came = {name: sum(log[name] for log in logs)
                for name in ("entries", "certificate_entries", "payload_bytes")}
        came["wire_bytes"] = whole["bytes_received"]
        shown = self.shown(table, "in all" if len(quotes) > 1 else quotes[0]["log"][:12])
        for (name, what), in_table in zip(came.items(), shown):
            said = sum(line["quote"][name] for line in quotes)
            # Where messages end hangs on when credit comes, so that of few entries some more come.
            allowed = max(what / 20, 6 if name.endswith("entries") else 0)
            self.assertLessEqual(abs(said - what), allowed, (arguments, name, said, what, table))
            self.assertLessEqual(abs(in_table - said), said / 20, (arguments, name, said, table))

    @staticmethod
    def shown(table, title):
        """Entries, certificate entries, and bytes of payloads and on the wire, as a table says."""
        row = next(line for line in table.splitlines() if line.startswith(title))
        units = {"": 1, "B": 1, "kB": 1e3, "MB": 1e6}
        cells = re.findall(r"  ~?([\d.,]+)(?: (B|kB|MB))?(?= |$)", row)
        assert len(cells) == 4, row
        return [float(number.replace(",", "")) * units[unit] for number, unit in cells]


if __name__ == "__main__":
    main()
