"""JSONL of the article's splits: ours, the article's way, and the bare limit, as whole processes in one run.

    python -m tests.benchmarks.jsonl SOURCE [--rounds 5] [--large 10] [--growth 1000 10000 100000]

SOURCE is the photographs: a tar, or a folder of class folders. Ours is `dogcls-tui data jsonl` on a catalogued
dataset, from the interpreter's start to its end, hashes and syncing included. The article's way is a pandas frame
with a column of base64, then `json.dumps` a line (with `iterrows`, and again with `itertuples`). The bare limit reads, encodes and writes, and does nothing else.
All write the same lines. Repetition is by hard links: other names, the same bytes.

Peak memory is what the kernel reports of each process (`wait4`).
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SYSTEM = "Classify the following input image into one of the following categories: [{labels}]."


def article_way(plan, folder, rows_of=None):
    """What a notebook does: a frame with all the base64, walked row by row."""
    import base64

    import pandas as pd

    labels, rows = plan["labels"], plan["rows"]
    system = SYSTEM.replace("{labels}", ", ".join(labels))

    def encoded(path):
        return base64.b64encode(Path(path).read_bytes()).decode()

    frame = pd.DataFrame(rows, columns=["split", "path", "label"])
    frame["image"] = frame["path"].apply(encoded)
    for split, part in frame.groupby("split", sort=False):
        with Path(folder, f"{split}.jsonl").open("w", encoding="utf-8") as file:
            for number, row in enumerate(rows_of(part) if rows_of else (row for _, row in part.iterrows())):
                url = "data:image/jpeg;base64," + row.image
                messages = [
                    {"role": "system", "content": system},
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": url, "detail": "low"}}],
                    },
                ]
                if split == "test":
                    line = {
                        "custom_id": f"image-{number}",
                        "method": "POST",
                        "url": "/chat/completions",
                        "body": {"model": "gpt-4o-batch", "messages": messages, "response_format": plan["format"]},
                    }
                else:
                    line = {"messages": [*messages, {"role": "assistant", "content": row.label}]}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


def tuples_way(plan, folder):
    """The same by somebody who knows that `iterrows` is slow."""
    article_way(plan, folder, lambda part: part.itertuples())


def bare_limit(plan, folder):
    """Read, base64, write."""
    from binascii import b2a_base64

    system = json.dumps(SYSTEM.replace("{labels}", ", ".join(plan["labels"]))).encode()
    before = b'{"messages":[{"role":"system","content":' + system + b'},{"role":"user","content":[{"type":"image_url",'
    before += b'"image_url":{"url":"data:image/jpeg;base64,'
    after = b'","detail":"low"}}]},{"role":"assistant","content":"'
    files = {}
    for split, path, label in plan["rows"]:
        if split not in files:
            files[split] = Path(folder, f"{split}.jsonl").open("wb", buffering=1 << 20)  # noqa: SIM115
        with open(path, "rb") as image:  # noqa: PTH123  (a Path for each takes longer)
            data = image.read()
        files[split].write(b"".join((before, b2a_base64(data, newline=False), after, label.encode(), b'"}]}\n')))
    for file in files.values():
        file.close()


def measured(command, folder):
    """Run a process in an empty folder; return its seconds, its peak in MB, and the bytes that it wrote."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    told = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    assert process.returncode == 0, told.decode()
    return seconds, usage.ru_maxrss / 1024, sum(file.stat().st_size for file in folder.glob("*.jsonl"))


def commands(root, name, plan):
    """Return the folder that one dataset is written to, and each way's command."""
    folder = root / "out"
    jsonl = ["data", "jsonl", name, "--kind", "both", "--deployment", "gpt-4o-batch", "--output", str(folder)]
    for split in dict.fromkeys(row[0] for row in plan["rows"]):
        jsonl += ["--split", split]
    path = root / f"{name}.json"
    path.write_text(json.dumps(plan))
    module = [sys.executable, "-m", "tests.benchmarks.jsonl"]
    ours = [sys.executable, "-c", "from tui.main import main; main()", "--home", str(root / "home"), *jsonl]
    return folder, {
        "ours": ours,
        "the article's way": [*module, "--article", str(path), str(folder)],
        "  with itertuples": [*module, "--tuples", str(path), str(folder)],
        "bare limit": [*module, "--bare", str(path), str(folder)],
    }


def catalogue(root, name, rows, labels, facts):
    """Put images into the store, as importing them would."""
    from engine.store import Store

    store = Store(root / "home" / "store.db")
    position = {label: number for number, label in enumerate(labels)}
    images = (
        (path.lstrip("/"), position[label], split, *facts[Path(path).stat().st_ino]) for split, path, label in rows
    )
    store.datasets.add(
        name, source="benchmark", root=Path("/"), split="given", seed=None, digest=name, labels=labels, images=images
    )
    store.close()


def repeated(root, rows, times):
    """Return so many times the rows, each under other names."""
    found = []
    for number in range(times):
        folder = root / f"copy-{number}"
        folder.mkdir(exist_ok=True)
        for at, (split, path, label) in enumerate(rows):
            other = folder / f"{at:06d}.jpg"
            if not other.exists():
                os.link(path, other)
            found.append((split, str(other), label))
    return found


def compare(title, root, name, plan, rounds):
    """Run all ways in turn, several times, and print what each took."""
    folder, ways = commands(root, name, plan)
    found = {way: [] for way in ways}
    for _ in range(rounds):
        for way, command in ways.items():
            found[way].append(measured(command, folder))
    print(f"\n{title}: {len(plan['rows']):,} lines")
    print(f"{'':<20}{'MB':>8}{'median s':>10}{'best s':>8}{'lines/s':>10}{'peak MB':>9}")
    median, best, peak = {}, {}, {}
    for way, runs in found.items():
        median[way], best[way] = statistics.median(run[0] for run in runs), min(run[0] for run in runs)
        peak[way] = max(run[1] for run in runs)
        print(
            f"{way:<20}{runs[0][2] / 1e6:>8.1f}{median[way]:>10.2f}{best[way]:>8.2f}"
            f"{len(plan['rows']) / median[way]:>10,.0f}{peak[way]:>9.1f}"
        )
    for way in list(ways)[1:]:
        print(
            f"  {way.strip()} / ours: {median[way] / median['ours']:.2f} of the time (best: {best[way] / best['ours']:.2f}),"
            f" {peak[way] / peak['ours']:.1f} of the memory"
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", type=int, default=10, help="how many times the training lines")
    parser.add_argument("--growth", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--article", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--tuples", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--bare", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    for way, job in ((options.article, article_way), (options.tuples, tuples_way), (options.bare, bare_limit)):
        if way:
            job(json.loads(Path(way[0]).read_text()), way[1])
            return
    with tempfile.TemporaryDirectory(prefix="dogcls-jsonl-") as name:
        run(Path(name), options)


def catalogued(root, source):
    """Import the photographs with the article's split; return (labels, rows, facts by inode)."""
    # In a process of its own: what this process has in memory would count as its children's peak.
    add = ["data", "add", str(source), "--name", "photographs", "--split", "article"]
    command = [sys.executable, "-c", "from tui.main import main; main()", "--home", str(root / "home"), *add]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    from engine.store.db import Database
    from engine.store.entries import catalogued, entries

    db = Database(root / "home" / "store.db")
    dataset = catalogued(db, "photographs")
    rows, facts = [], {}
    for split in ("train", "val", "test"):
        for entry in entries(db, "photographs", split):
            path = f"{dataset.root}/{entry.path}"
            rows.append((split, path, dataset.labels[entry.label]))
            facts[Path(path).stat().st_ino] = (entry.bytes, entry.width, entry.height, entry.sha256)
    db.close()
    return dataset.labels, rows, facts


def run(root, options):
    source = options.source
    if source.is_file():
        (root / "source").mkdir()
        subprocess.run(["tar", "-xf", source, "-C", root / "source"], check=True)
        source = next(p for p in [root / "source" / "Images", root / "source"] if p.is_dir())
    labels, rows, facts = catalogued(root, source)
    schema = {
        "type": "object",
        "properties": {"label": {"type": "string"}},
        "required": ["label"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "classification", "strict": True, "schema": schema}}

    def plan(some):
        return {"labels": labels, "rows": some, "format": form}

    train = [row for row in rows if row[0] == "train"]
    for title, name, some in (
        ("the article's training lines", "train", train),
        ("the article's three splits", "splits", rows),
        (f"{options.large} times the training lines", "large", repeated(root, train, options.large)),
    ):
        catalogue(root, name, some, labels, facts)
        compare(title, root, name, plan(some), options.rounds)
    print(f"\ngrowth of ours\n{'entries':>9}{'seconds':>9}{'lines/s':>10}{'peak MB':>9}{'MB written':>12}")
    for count in options.growth:
        some = repeated(root, train, -(-count // len(train)))[:count]
        catalogue(root, f"growth-{count}", some, labels, facts)
        folder, ways = commands(root, f"growth-{count}", plan(some))
        seconds, peak, size = measured(ways["ours"], folder)
        print(f"{count:>9,}{seconds:>9.2f}{count / seconds:>10,.0f}{peak:>9.1f}{size / 1e6:>12.1f}")


if __name__ == "__main__":
    main()
