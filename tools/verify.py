#!/usr/bin/env python3
"""verify.py STORE [RUN-ID | --all-runs | --all]: checks a store by docs/FORMAT.md, without the programs that wrote it.

Checks dfs-store.json; of each ledger entry canonical JSON, number, chain, store, time, key, signature; every text that
an event commits to. Of a run (its id, or six or more digits at an end of it) or of all: start, end, code snapshot and
data versions; with --all also of every code snapshot and every version that is not removed, whoever used it. Of each:
its whole metadata pack, record, pack set with bases, trees (nodes, cuts, order, totals, content digests), recipes,
every chunk's bytes, every file's digest. Of a pack in use: .idx, length, zeros where nothing lies.
NOT covered: entries missing at the ledger's end (nothing says how many there were), a whole history forged with other
keys, content that nothing checked reaches, the meaning of records, events that contradict the state (but for keys) or
are of unknown kinds (named on stderr), file modes, live/, tmp/, changes in a zstd frame that give the same bytes.
Exit status: 0 no problem; 1 problems, each a line `problem: …`; 2 cannot run, or a store of another format."""
import base64, concurrent.futures, contextlib, ctypes, datetime, functools, hashlib, importlib, itertools, json, os
import pathlib, re, shutil, struct, subprocess, sys, tempfile
HEX, TIME = "[0-9a-f]{64}", r'"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d\.\d{6}Z"'
CLOCK = rf'\[{{"host":{TIME},"store":{TIME},"synchronised":"(yes|no|unknown)"}},{TIME},"[0-9a-f]{{32}}"\]'
RECORDS = {"dataset.committed": "commit", "code.captured": "code", "run.started": "run"}  # of the end of a run: result
ALL = "--all-runs", "--all"
NAMES = {"run.": "run", "code.captured": "project snapshot", "dataset.committed": "dataset version content"}
KINDS = "store.created|key.(added|approved|revoked)|tag.(set|removed)|run.(finished|interrupted|annotated)|" + "|".join(
    [*RECORDS, "dataset.removed", "gc.(condemned|performed)"])
problems, keys, revoked, events, homes, objects = [], {}, set(), {}, {}, set()  # homes: of each pack set, its pack
condemned, newest, deleted = {}, 0, set()  # of a condemned pack, the entry and what stands in for it

def need(holds, rule):
    if not holds: raise AssertionError(rule)
@contextlib.contextmanager
def part(where):  # what goes wrong inside is a problem of WHERE; the check goes on behind it
    try: yield
    except Exception as error:  # a rule that does not hold, or whatever else a damaged store makes Python stumble over
        problems.append(f"problem: {where}: {error if isinstance(error, AssertionError) else repr(error)}")
        print("".join(c if c.isprintable() else repr(c)[1:-1] for c in problems[-1]), flush=True)
def path(*names): return regular(pathlib.Path(sys.argv[1], *names))
def regular(file):  # to open a fifo would take for ever
    return need(file.is_file() or file.is_dir() or not file.exists(), f"{file.name} is no regular file") or file
def sha(data): return hashlib.sha256(data).digest()
def base64_of(data): return base64.b64encode(data).decode()
def totals(rows): return [sum(row[2] for row in rows), sum(row[3] for row in rows)]
def dump(value): return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
def match(pattern, text): return need(re.fullmatch(pattern, text, re.A), f"{text!r} is malformed") or text
def binary(digest): return bytes.fromhex(match("sha256:" + HEX, digest)[7:])
def parse(raw, form, members=""):  # canonical JSON; fractions, then unchecked, only in a record (no MEMBERS given)
    value = json.loads(raw, parse_float=(fractions := []).append, parse_constant=int)
    need(dump(value) == raw or fractions and not members, "is not canonical JSON, or holds a fraction")
    need(value["format"] == form and set(members.split()) <= value.keys(), f"is not as {form} has it")
    return value
def undo(frame, size):  # the content of FRAME, a zstd frame with SIZE in its header
    if not isinstance(zstd, ctypes.CDLL):
        return zstd.decompress(frame) if zstd.get_frame_info(frame).decompressed_size == size else b""
    data, room, n = ctypes.create_string_buffer(size + 1), ctypes.c_size_t(size), ctypes.c_size_t(len(frame))
    need(zstd.ZSTD_getFrameContentSize(frame, n) == size == zstd.ZSTD_decompress(data, room, frame, n), "bad frame")
    return data.raw[:size]
@functools.cache
def index(pack):  # checks a pack; gives by digest the places, each (offset, stored length, length, codec)
    items, end = {}, 0
    with part(f"pack {pack}"), path("packs", pack[:2], pack + ".pack").open("rb") as file:
        raw, length = path("packs", pack[:2], pack + ".idx").read_bytes(), file.seek(0, 2)
        magic, kind, _, *sizes, zero = struct.unpack_from("<7sB16sQQ24s", raw)
        need(sha(raw).hex() == pack, "the .idx has another SHA-256")
        need(magic == b"DFSIDX\1" and kind in (1, 2, 3) and not any(zero) and sizes == [length, (len(raw) - 64) / 56],
             "its header or length is wrong")
        rows = list(struct.iter_unpack("<32sQIIB7s", raw[64:]))
        need(all(a[:2] < b[:2] and (kind == 2 or a[0] != b[0]) for a, b in itertools.pairwise(rows)), "is out of order")
        need(kind != 1 or length % 4096 == 0 or all(row[4] or row[3] < 4096 for row in rows), "length is not aligned")
        for row in sorted(rows, key=lambda row: row[1:3]) + [(b"", length, 0, 0, int(kind == 3), b"")]:
            digest, offset, stored, size, codec, zero = row
            need(codec in (kind == 3, kind != 2) and (codec or stored == size) and not any(zero), "an item is wrong")
            need(file.seek(end) <= offset and (kind != 2 or end == offset), "items overlap, or a file has a hole")
            need(not file.read(offset - end).strip(b"\0"), "there are bytes that belong to nothing")
            items.setdefault(digest, []).append(row[1:5])
            end = offset + stored
    return items
def fetch(digest, among):  # an object's bytes, right wherever the first pack of AMONG that has it has it
    pack = next((pack for pack in among if digest in index(pack)), None)
    need(pack, f"object {digest.hex()} is in no pack that should hold it")
    with path("packs", pack[:2], pack + ".pack").open("rb", buffering=0) as file:
        for offset, stored, size, codec in index(pack)[digest]:
            file.seek(offset)
            content = undo(file.read(stored), size) if codec else file.read(stored)
            need(sha(content) == digest, f"object {digest.hex()} has other bytes in pack {pack} at {offset}")
    return objects.add(digest) or content
def standing(packs):  # those of PACKS that are not condemned, then what stands in for the others
    found = dict.fromkeys(packs)
    for pack in (todo := list(found)):
        if pack in condemned: todo += [it for it in condemned[pack][1] if it not in found and not found.update({it: 0})]
    return [pack for pack in found if pack not in condemned]
@functools.cache
def pack_set(digest):  # it lies in the metadata pack of the first event that names it
    value = parse(fetch(binary(digest), standing([homes[digest]])), "dfs.packs/1", "added base format removed")
    need(all(value[name] == sorted({match(HEX, it) for it in value[name]}) for name in ("added", "removed")), "bad set")
    return ((pack_set(value["base"]) if value["base"] else set()) | set(value["added"])) - set(value["removed"])
def check_file(digest, size, recipe, among):
    raw, whole = fetch(recipe, among) if recipe else b"", hashlib.sha256()
    need(raw[:48] in (b"", struct.pack("<4sB3xQ32s", b"DFSR", 1, size, digest)), "the recipe's header is wrong")
    chunks = list(struct.iter_unpack("<32sI", raw[48:])) if recipe else [(digest, size)][:size]
    for chunk, length in chunks:
        whole.update(content := fetch(chunk, among))
        need(len(content) == length > 0, "a chunk has another length")
    return whole.digest(), 0, sum(length for _, length in chunks)
def tree(address, among, place, level=None, last=True):  # content digest, files, bytes; rows if not a root
    raw, rows, at = fetch(address, among), [], 32
    magic, version, height, zero, count, zeros, *below = struct.unpack_from("<4sBBHIIQQ", raw)
    need((magic, version, zero, zeros) == (b"DFST", 1, 0, 0) and level in (None, height), "a node's header is wrong")
    for i in range(count):
        if height:
            length, zero, number, *sums, child = struct.unpack_from("<HHIQQ32s", raw, at)
            name, at = raw[at + 56:at + 56 + length], at + 56 + length
            new = tree(child, among, place, height - 1, last and i == count - 1)
            need((zero, number, name, sums) == (0, len(new), new[0][0], totals(new)), "an inner item is wrong")
            rows += new
        else:
            kind, flags, mode, n, to, _, nano, zero, size, files, digest = struct.unpack_from("<BBHHHqIIQQ32s", raw, at)
            a, at = at + 72 + 32 * flags, at + 72 + 32 * flags + n + to
            child, name, target = raw[a - 32:a] if flags else None, raw[a:a + n], raw[a + n:at]
            need(0 < kind < 4 and flags == (kind == 2 or kind == 1 and size > maximum) and mode < 512 and not zero
                 and nano < 10**9 and 0 < n < 256 and not {0, 47} & set(name) and name not in (b".", b"..")
                 and (0 < to == size < 4096 if kind == 3 else not to), "an item is malformed")
            with part(where := f"{place}/{os.fsdecode(name)}"):
                found = (check_file(digest, size, child, among) if kind == 1 else tree(child, among, where) if kind == 2
                         else (sha(target), 0, size))
                need(found == (digest, files, size), "content digest or totals are wrong")
            line = b"%c %s %s\0" % (b"fxdl"[mode >> 6 & 1 if kind == 1 else kind], digest.hex().encode(), name)
            rows.append((name, line, files if kind == 2 else 1, 0 if kind == 3 else size))
        h = functools.reduce(lambda h, byte: (h ^ byte) * 0x100000001b3 % 2**64, name, 0xcbf29ce484222325)
        h ^= h >> 32
        ends = i == 1023 or i > 0 and (h >> min(9 * height, 56)) % 128 == 127 if height else i == 4095 or h % 512 == 511
        need(ends == (i == count - 1) or last and i == count - 1, "a node is cut where it must not be")
    need(at == len(raw) and below == totals(rows) and (count > 1 if height and level is None else rows or level is None)
         and all(a[0] < b[0] for a, b in itertools.pairwise(rows)), "a node's totals, order or length are wrong")
    return rows if level is not None else (sha(b"dfs.directory/1\0" + b"".join(row[1] for row in rows)), *totals(rows))
@functools.cache
def check_event(at):  # everything stored that an event names
    event = events[at]
    with part(f"entry {at[0]} ({event['kind']})"):
        among = standing([home := binary(event["pack"]).hex(), *sorted(pack_set(event["packs"]))])
        parse(fetch(binary(event["record"]), standing([home])), f"dfs.{event.get('name') or RECORDS.get(event['kind'], 'result')}/1")
        for content in [fetch(it, [home]) for it in (index(home) if home in among else ()) if it]:
            need(content[:4] in (b"DFST", b"DFSR") or parse(content, json.loads(content)["format"]), "")
        for it in [event[name] for name in ("outputs", "work", "logs", "evidence") if name in event] or [event] * ("tree" in event):
            need(tree(binary(it["tree"]), among, "") == (binary(it["content"]), it["files"], it["bytes"]), "wrong tree")
def check_run(run):
    start, = [event for event in events.values() if event.get("run") == run and event["kind"] == "run.started"]
    for kind, it in [("run.", start), ("code.captured", start), *(("dataset.committed", it) for it in start["data"])]:
        found = [at for at, event in events.items() if event["kind"].startswith(kind)
                 and all(event[name] == it[name] for name in NAMES[kind].split())]
        need(found and [*map(check_event, found)], f"the ledger lacks its {kind} with {it}")
def lasting():  # where code and data were recorded, but for the versions that were removed later
    found = {}
    for at, event in events.items():
        if event["kind"] == "dataset.removed":
            gone = [it for it, (dataset, version) in found.items()
                    if dataset == event["dataset"] and version == event.get("version", version)]
            for it in gone: del found[it]
        if event["kind"] in ("dataset.committed", "code.captured"):
            found[at] = event.get("dataset"), event.get("version")
    return list(found)
def check_ledger(store, chained, pool, folder):
    last, now, bundles = 0, "", path("ledger", "bundles")
    for file in sorted(file for file in path("ledger").rglob("*") if not file.is_dir() and file.parent != bundles):
        with part(f"ledger/{file.parent.name}/{file.name}"):
            raw, number = regular(file).read_bytes(), int(file.stem)
            gap, last, before, chained = number - last - 1, number, chained, sha(raw)
            right = path("ledger", f"{number:012}"[:9], f"{number:012}.json")
            need(file == right and gap == 0, f"is out of place, or {gap} entries before it are missing")
            entry = parse(raw, "dfs.entry/1", "clock events format key nonce previous sequence signature store time")
            match(CLOCK, dump([entry["clock"], entry["time"], entry["nonce"]]).decode())
            need((entry["sequence"], entry["store"]) == (number, store) and entry["events"], "wrong number or store")
            need(binary(entry["previous"]) == before, "does not follow from the entry before it")
            need(entry["time"] == (now := max(now, entry["clock"]["host"])), "time is not the later of host's and last")
            host, shared = (datetime.datetime.fromisoformat(entry["clock"][name]) for name in ("host", "store"))
            need((host - shared).total_seconds() <= 300 and entry["key"] not in revoked, "clock ahead, or key revoked")
            for place, event in enumerate(entry["events"]): add_event(number, place, event, entry["key"])
            signature = base64.b64decode(encoded := entry.pop("signature"))
            head = [struct.pack(">I", len(it)) + it for it in (keys[entry["key"]][0], b"deepops-fs", b"", b"sha512")]
            need(signature[:-87] == b"SSHSIG\0\0\0\1" + b"".join(head) and base64_of(signature) == encoded, "no SSHSIG")
            pool.submit(check_signature, number, f"{folder}/{number}", entry["key"], encoded, dump(entry))
    for file in sorted(bundles.glob("*")):
        with part(f"ledger/bundles/{file.name}"): check_bundle(file)
    return last or need(last, "the ledger is empty")
def check_bundle(file):  # the entries of one folder of the ledger again
    raw, number = regular(file).read_bytes(), int(match("([0-9]{9}).bundle", file.name)[:9])
    magic, first, count, size = struct.unpack_from("<8sQQQ", raw)
    need((magic, first) == (b"DFSBUN\1\0", max(1, number * 1000)) and size <= 2**28, "its header is wrong")
    names = [f"{it:012}.json" for it in range(first, number * 1000 + 1000)]
    entries = [path("ledger", f"{number:09}", name).read_bytes() for name in names]
    need(count == len(entries) and undo(raw[32:], size) == b"".join(struct.pack("<I", len(it)) + it for it in entries),
         "it does not say what the entries say")
def add_event(number, place, event, signer):
    events[number, place], kind = event, event["kind"]
    need((kind == "store.created") == (number == 1 and place == 0), "store.created is not where it must be")
    if not re.fullmatch(KINDS, kind): print(f"note: entry {number}: {kind!r} is passed over", file=sys.stderr)
    if kind == "gc.condemned" or "pack" in event:  # whoever records has read every condemnation before
        need(event.get("heeded", 0) == newest and event.get("pack", "sha256:")[7:] not in condemned,
             "an event does not heed the newest condemnation")
    if kind == "gc.condemned": condemn(number, event)
    if kind == "gc.performed":
        for pack in [binary(it).hex() for it in event["packs"]]:
            need(condemned[pack][0] == event["condemned"] and pack not in deleted, "it deletes what it must not")
            deleted.add(pack)
    if "pack" in event and "packs" in event: homes.setdefault(event["packs"], binary(event["pack"]).hex())
    if kind == "key.added" and event["key"] not in keys:
        blob, owner = base64.b64decode(event["public"].removeprefix("ssh-ed25519 ")), event["owner"]
        need(owner is True and (not keys or keys[signer][1]) or owner is False and keys, "a key is wrongly an owner")
        need(event["public"] == "ssh-ed25519 " + base64_of(blob)
             and event["key"] == "SHA256:" + base64_of(sha(blob)).rstrip("="), "a key or its fingerprint is malformed")
        keys[event["key"]] = blob, owner
    if kind == "key.revoked" and (signer == event["key"] or keys[signer][1]): revoked.add(event["key"])
def condemn(number, event):
    global newest
    packs = [binary(it).hex() for it in event["packs"]]
    instead = {binary(it).hex(): [binary(one).hex() for one in those] for it, those in event["replacements"].items()}
    need(packs and packs == sorted(set(packs) - set(condemned)) and set(instead) <= set(packs)
         and event["seen"] < number, "it condemns wrongly")
    need(not {it for those in instead.values() for it in those} & {*packs, *condemned}, "a condemned pack replaces one")
    condemned.update((pack, (number, instead.get(pack, []))) for pack in packs)
    newest = number
def check_signature(number, file, key, signature, message):
    with part(f"entry {number}"):
        path(file + ".keys").write_text(f"{key} ssh-ed25519 {base64_of(keys[key][0])}\n")
        path(file).write_text(f"-----BEGIN SSH SIGNATURE-----\n{signature}\n-----END SSH SIGNATURE-----\n")
        command = ["ssh-keygen", "-Y", "verify", "-n", "deepops-fs", "-I", key, "-f", file + ".keys", "-s", file]
        need(not subprocess.run(command, input=message, capture_output=True).returncode, "its signature is wrong")
def main(wanted=""):
    global zstd, maximum
    zstd = importlib.import_module("compression.zstd") if sys.version_info >= (3, 14) else ctypes.CDLL("libzstd.so.1")
    raw, entries = path("dfs-store.json").read_bytes(), 0
    need(shutil.which("ssh-keygen") and not re.search(rb'"dfs.store/(?!1")\d', raw), "no ssh-keygen or not dfs.store/1")
    with part("dfs-store.json"), tempfile.TemporaryDirectory() as home, concurrent.futures.ThreadPoolExecutor() as pool:
        store = parse(raw, "dfs.store/1", "created format parameters store")
        maximum = store["parameters"]["chunk"]["maximum"]
        entries = check_ledger(store["store"], sha(raw), pool, home)
    texts = [(at, event) for at, event in events.items() if "text" in event]
    for at, event in texts:
        with part(f"entry {at[0]}, text"):
            among = [binary(event["pack"]).hex()] if "pack" in event else [it.stem for it in path().rglob("*.idx")]
            among = standing(among)
            match(HEX, parse(fetch(binary(event["text"]), among), "dfs.text/1", "fields format salt")["salt"])
    runs = [event["run"] for event in events.values() if event["kind"] == "run.started" and (wanted in ALL
            or wanted[5:] and (event["run"].startswith(wanted) or event["run"].endswith(wanted)))]
    need(runs or problems or wanted in ("", *ALL), f"there is no run {wanted}")
    for run in runs:
        with part(f"run {run}"): check_run(run)
    for at in lasting() if wanted == "--all" else (): check_event(at)
    checked = f"{entries} entries, {len(keys)} keys, {len(texts)} texts, {len(objects)} objects checked"
    print(f"{checked}: {len(problems) or 'no'} problem{'s' * (len(problems) > 1)}")
    return 1 if problems else 0

if __name__ == "__main__":
    try: sys.exit(sys.setrecursionlimit(100_000) or main(*sys.argv[2:]))
    except Exception as error: sys.exit(print(f"error: {error}, usage: {__doc__[:45]}", file=sys.stderr) or 2)
