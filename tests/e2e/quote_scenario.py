"""What a sync costs: the quote agrees with what comes, and a budget is kept."""

import json
import os
import random

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
        _, whole = self.sync(store, self.address, *arguments, status=status)
        said, came = sum(line["quote"]["wire_bytes"] for line in quotes), whole["bytes_received"]
        self.assertLess(abs(said - came), came / 20, (arguments, said, came))



if __name__ == "__main__":
    main()
