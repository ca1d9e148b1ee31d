"""Where the bytes of a store's file are."""

import json
import os

from export_import_scenario import make_log, to_jsonl
from rotten import PAGE, Rotten
from scenario import FORK, STORE, main


class Du(Rotten):
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

    def test_it_says_what_compact_gives_back(self):
        for size in 100, 500, 1000, 2000, 4000:
            store, count = f"s{size}", 6_000_000 // (size + 300)
            author = self.new_log(["x" * size] * count, store=store, key=self.keygen(f"{size}.key"))
            for deleted in ("", ",".join(map(str, range(1, count, 2))), f"1-{count * 9 // 10}"):
                with self.subTest(size=size, deleted=deleted[:9]):
                    if deleted:
                        said = self.text("delete", author, "--payloads", "--range", deleted,
                                         store=store)
                        self.assertIn("`culm compact` gives it back", said)
                    space = self.json("du", store=store)
                    done = self.json("compact", store=store)
                    self.assertAlmostEqual(space["free_bytes"], done["bytes_freed"],
                                           delta=0.02 * space["file_bytes"])

    def test_it_names_what_it_cannot_read_and_counts_the_rest(self):
        key = self.keygen()
        damaged = self.new_log(self.lines(200), key=key, store="rotten")
        self.new_log(self.lines(20), "--log-id", "1", key=key, store="rotten")
        before = self.json("du", store="rotten")
        with open(self.path("rotten/data.mdb"), "r+b") as file:
            page = file.read().rfind(b"line 100 of") // PAGE * PAGE
            file.seek(page)
            file.write(bytes(PAGE))
        done = self.run_culm("du", "--json", store="rotten", status=STORE)
        failure, space = json.loads(done.stderr), json.loads(done.stdout)
        self.assertEqual(failure["about"], damaged[:12])
        first, last = map(int, failure["damaged"].split("-"))
        self.assertTrue(last - 20 < first <= 100 <= last, failure)
        lost = (last - first + 1) / 220
        self.assertAlmostEqual(space["entry_bytes"], before["entry_bytes"] * (1 - lost),
                               delta=before["entry_bytes"] / 100)
        self.assertIn("the whole file", self.run_culm("du", store="rotten",
                                                      status=STORE).stdout.decode())

    def test_of_a_damaged_page_it_is_never_sound_where_verify_is_not(self):
        self.new_log(self.lines(120), store="small")
        whole = (self.place / "small/data.mdb").read_bytes()
        for page in range(len(whole) // PAGE):
            self.write("small/data.mdb", whole[:page * PAGE] + bytes(PAGE) + whole[(page + 1) * PAGE:])
            by_verify, by_du = (self.run_culm(verb, store="small", status=(0, STORE)).returncode
                                for verb in ("verify", "du"))
            self.assertEqual(by_verify, by_du, page)

    def test_evidence_of_a_log_that_is_damaged_counts_as_such(self):
        payload, other = b"line %d of it", b"another %d"
        self.write("one", to_jsonl(make_log(40, payload), payload))
        self.write("two", to_jsonl(make_log(40, other, start=make_log(39, payload))))
        self.out("import", "--jsonl", "one")
        self.error(FORK, "import", "--jsonl", "two")
        evidence = self.json("du")["evidence_bytes"]
        self.assertGreater(evidence, 0)
        self.rot_row("store", 10)
        done = self.run_culm("du", "--json", status=STORE)
        self.assertEqual(json.loads(done.stdout)["evidence_bytes"], evidence)
        self.assertTrue(json.loads(done.stderr)["message"].endswith("; counted as all else: 10"))


if __name__ == "__main__":
    main()
