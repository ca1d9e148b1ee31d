"""The README shows the example as it is compiled, and it prints what the README says."""
import pathlib
import subprocess
import sys
import tempfile

program, root = sys.argv[1], pathlib.Path(sys.argv[2])
example = (root / "tests/consumer/example.cpp").read_text()
shown = example[example.index("culm::Result<void> run"):example.index("int main")].strip()
assert shown in (root / "README.md").read_text(), "the README shows another example"
with tempfile.TemporaryDirectory() as directory:
    run = subprocess.run([program, directory], capture_output=True, text=True, timeout=60)
assert run.returncode == 0, run.stderr
assert run.stdout == "1 hello\n2 world\n", run.stdout
