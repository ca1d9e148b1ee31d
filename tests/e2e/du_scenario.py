"""Where the bytes of a store's file are."""

import os

from relay_harness import NetworkScenario
from scenario import main


class Du(NetworkScenario):
    def test_it_says_where_the_bytes_are_and_adds_up(self):
        author = self.new_log(["x" * 4096] * 500)
        relay = self.relay("store")
        self.sync("reader", relay.address, author, "--range", "400-450")
        for store, payloads, certificate in (("store", 500, False), ("reader", 51, True)):
            report = self.json("du", store=store)
            self.assertEqual(report.pop("type"), "space")
            size = os.stat(self.path(f"{store}/data.mdb")).st_size
            parts = {key: value for key, value in report.items() if key != "file_bytes"}
            self.assertEqual(report["file_bytes"], size)
            self.assertEqual(sum(parts.values()), size, report)
            self.assertEqual(report["payload_bytes"], payloads * 4096)
            self.assertEqual(report["certificate_bytes"] > 0, certificate)
        text = self.text("du", store="reader")
        for kind in ("payloads", "entries", "certificate entries", "free", "the whole file"):
            self.assertIn(kind, text)
        self.out("delete", author, "--payloads", "--range", "1-450")
        report = self.json("du")
        self.assertEqual(report["payload_bytes"], 50 * 4096)
        self.assertGreater(report["free_bytes"], 450 * 8000)
        self.json("compact")
        self.assertLess(self.json("du")["free_bytes"], 10_000)


if __name__ == "__main__":
    main()
