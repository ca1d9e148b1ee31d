import json
import os

from scenario import NOT_FOUND, SOURCE, USAGE, VERIFICATION, Scenario, main, reference


class Inspect(Scenario):
    def cases(self):
        with open(SOURCE / "spec/vectors/entry.json") as file:
            return json.load(file)["cases"]

    def test_every_field_has_its_offset(self):
        self.author = self.new_log(range(50))
        for n in 1, 2, 4, 13, 40, 50:
            shown = self.json("inspect", self.author, n)
            data = bytes.fromhex(shown["encoded"])
            entry, at = reference.parse_entry(data), shown["offsets"]
            self.assertEqual(data[at["author"]:at["log_id"]], entry.author)
            self.assertEqual(reference.decode_varu64(data[at["seqnum"]:])[0], n)
            self.assertEqual("lipmaalink" in at, entry.lipmaalink is not None)
            self.assertEqual("backlink" in at, entry.backlink is not None)
            if "lipmaalink" in at:
                self.assertEqual(data[at["lipmaalink"] + 2:at["backlink"]], entry.lipmaalink)
            self.assertEqual(data[at["payload_hash"] + 2:at["signature"]], entry.payload_hash)
            self.assertEqual(data[at["signature"]:].hex(), shown["signature"])
            self.assertEqual((shown["size"], shown["hash"]),
                             (len(data), reference.entry_hash(entry).hex()))
            self.assertEqual((shown["level"], shown["payload_state"]), ("verified", "held"))
            self.assertEqual((shown["is_loose"], shown["pool_missing"]), (False, ""))

    def test_what_is_no_entry_is_refused_with_the_reason_of_the_vectors(self):
        refused = [case for case in self.cases() if case.get("error")]
        self.assertGreater(len(refused), 20)
        for case in refused:
            report = self.json("inspect", "--file", self.write("x", bytes.fromhex(case["bytes"])),
                               status=VERIFICATION)
            self.assertIn(report["error"], (case["error"], "entry_signature"), case["id"])

    def test_entries_of_the_vectors_are_shown_from_file_and_from_hex(self):
        good = [case for case in self.cases() if not case.get("error")]
        for case in good:
            shown = self.json("inspect", "--hex", case["bytes"].upper())
            self.assertEqual(shown["encoded"], case["bytes"], case["id"])
            self.write("x", bytes.fromhex(case["bytes"]))
            self.assertEqual(self.json("inspect", "--file", "x"), shown)

    def test_a_bad_signature_is_shown_and_refused(self):
        author = self.new_log(["x"])
        data = bytearray.fromhex(self.json("inspect", author, 1)["encoded"])
        data[-1] ^= 1
        done = self.run_culm("inspect", "--hex", data.hex(), status=VERIFICATION)
        self.assertRegex(done.stdout.decode(), r"signature is +bad")

    def test_text_of_the_payload_cannot_drive_a_terminal(self):
        key, author = self.keygen()
        self.out("append", "--key", key, stdin="\x1b[31mred \u202e \x07 \x9b ü".encode())
        for arguments in (["inspect", author, 1], ["log", author]):
            out = self.text(*arguments)
            self.assertIn(r"\x1b[31mred \u{202e} \x07 \u{9b} ü", out)

    def test_what_is_not_there_is_not_found(self):
        author = self.new_log(["x"])
        self.error(NOT_FOUND, "inspect", author, 2)
        self.error(NOT_FOUND, "inspect", "--file", "missing")
        self.error(USAGE, "inspect", author)
        self.error(USAGE, "inspect", author, 0)
        self.error(USAGE, "inspect", "--hex", "abc")
        for digits, size in ("00", "(1 byte): "), ("0000", "(2 bytes): "):
            said = self.error(VERIFICATION, "inspect", "--hex", digits)
            self.assertIn(size, said)
            self.assertIn("next: give all bytes of one entry", said)
        self.error(USAGE, "inspect", author, 1, "--hex", "ab")
        self.error(VERIFICATION, "inspect", "--file", self.write("big", os.urandom(100_000)))
        self.error(VERIFICATION, "inspect", "--file", self.write("empty", ""))


if __name__ == "__main__":
    main()
