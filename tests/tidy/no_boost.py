"""No object of the given static library names a symbol of Boost's asio or system."""
import re
import subprocess
import sys

symbols = subprocess.run(["nm", "-C", sys.argv[1]], capture_output=True, text=True, check=True).stdout
assert "culm::replication::Session" in symbols, "this is not the library that was meant"
found = sorted(set(re.findall(r"boost::(?:asio|system)\w*", symbols)))
if found:
    sys.exit(f"{sys.argv[1]} uses {', '.join(found)}")
