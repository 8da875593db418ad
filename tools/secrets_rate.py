#!/usr/bin/env python3
"""How often the secret scanner would stop a capture for nothing: false stops per 10,000 lines of published packages.

    tools/secrets_rate.py [--dfs PATH] [--packages N] [--venv DIR] [--most RATE]

Packages from PyPI hold no secrets of anybody's, so whatever is found in them would have stopped a launch for nothing. They
are installed into a virtual environment (kept with --venv), and `dfs code scan --all` looks at the N largest. Every finding
is listed. Exit 1 when there are more than RATE for 10,000 lines.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import venv

INSTALLED = """numpy scipy scikit-learn pandas matplotlib sympy networkx sqlalchemy jinja2 boto3 botocore django pillow
requests cryptography pydantic aiohttp flask fastapi transformers datasets statsmodels nltk plotly google-auth
google-api-python-client openai huggingface_hub ipython notebook""".split()


def site_packages(folder):
    """The directory of the environment's packages; makes the environment where there is none."""
    if not (folder / "bin" / "python").exists():
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", *INSTALLED], check=True)
    return next(folder.glob("lib/python3*/site-packages"))


def lines_of(folder):
    """Lines and bytes of the text files below a directory: those without a zero byte at the start, as the scanner has it."""
    lines = size = 0
    for path in folder.rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        data = path.read_bytes()
        if b"\0" in data[:8000]:
            continue
        lines += data.count(b"\n")
        size += len(data)
    return lines, size


def scan(program, folder):
    """The findings, and the seconds that the scan took."""
    began = time.monotonic()
    result = subprocess.run([program, "code", "scan", "--all", "--json", folder], capture_output=True, text=True)
    if result.returncode not in (0, 1):
        sys.exit(result.stderr)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return [one for one in found if one["waived"] is None], time.monotonic() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dfs", default=".build/release/dfs")
    parser.add_argument("--packages", type=int, default=20)
    parser.add_argument("--venv", type=pathlib.Path)
    parser.add_argument("--most", type=float, default=1.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        site = site_packages(options.venv or pathlib.Path(scratch) / "venv")
        measured = {}
        for folder in site.iterdir():
            if folder.is_dir() and not folder.name.endswith((".dist-info", "__pycache__")):
                measured[folder] = lines_of(folder)
        largest = sorted(measured, key=lambda folder: measured[folder][0], reverse=True)[: options.packages]
        total = stops = 0
        print(f"{'package':28}{'lines':>12}{'MB':>9}{'seconds':>9}{'stops':>7}")
        for folder in largest:
            lines, size = measured[folder]
            found, seconds = scan(options.dfs, folder)
            print(f"{folder.name:28}{lines:12,}{size / 1e6:9.1f}{seconds:9.2f}{len(found):7}")
            for one in found:
                print(f"    {one['path']}:{one['line']} {one['rule']}")
            total += lines
            stops += len(found)
    rate = stops * 10_000 / total
    print(f"{stops} stops in {total:,} lines: {rate:.3f} for 10,000 lines (at most {options.most} asked)")
    return 1 if rate > options.most else 0


if __name__ == "__main__":
    sys.exit(main())
