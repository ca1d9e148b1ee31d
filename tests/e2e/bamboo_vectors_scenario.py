"""Every entry of another implementation is accepted with its payload and its links."""

import json
import unittest

from scenario import VECTORS, Scenario, main, reference

FILE = VECTORS / "bamboo-rs/test_vectors.json"


@unittest.skipUnless(FILE.exists(), f"{FILE} is not there")
class BambooVectors(Scenario):
    def logs(self):
        for name, value in json.loads(FILE.read_text()).items():
            entries = value["entries"] if "entries" in value else [value]
            yield name, {entry["decoded"]["seqNum"]: entry for entry in entries}

    def test_each_entry_is_accepted_with_its_links(self):
        checked = 0
        for name, entries in self.logs():
            for n, entry in entries.items():
                def raw(m):
                    return self.write(f"{m}.bin", bytes.fromhex(entries[m]["encoded"]))
                options = []
                if "payload" in entry:
                    payload = bytes.fromhex(entry["payload"])
                    options += ["--payload", self.write("payload", payload)]
                if n - 1 in entries:
                    options += ["--backlink", raw(n - 1)]
                if reference.lipmaa(n) in entries:
                    options += ["--lipmaalink", raw(reference.lipmaa(n))]
                    checked += 1
                report = self.json("verify", "--entry", raw(n), *options)
                self.assertEqual(report["seqnum"], n, name)
        self.assertGreaterEqual(checked, 10)

    def test_the_logs_are_good_as_json_lines(self):
        for name, entries in self.logs():
            lines = "".join(json.dumps(entry) + "\n" for entry in entries.values())
            report = self.json("verify", "--jsonl", self.write("log", lines))
            self.assertEqual((report["ok"], report["entries"]), (True, len(entries)), name)
            self.out("import", "--jsonl", "log", store=name)
            self.out("verify", store=name)

    def test_every_field_is_shown(self):
        for _, entries in self.logs():
            for n, entry in entries.items():
                shown, decoded = self.json("inspect", "--hex", entry["encoded"]), entry["decoded"]
                self.assertEqual(shown["author"], decoded["author"])
                self.assertEqual(shown["signature"], decoded["sig"])
                self.assertEqual(shown["payload_size"], decoded["payloadSize"])
                for ours, theirs in (("payload_hash", "payloadHash"), ("backlink", "backlink"),
                                     ("lipmaalink", "lipmaaLink")):
                    hash = decoded[theirs] and decoded[theirs]["Blake2b"]
                    # Where both links would be one, its hash is encoded once, as the backlink.
                    if ours == "lipmaalink" and not reference.has_lipmaalink(n):
                        hash = None
                    self.assertEqual(shown[ours], hash)
                self.assertTrue(shown["signature_good"])


if __name__ == "__main__":
    main()
