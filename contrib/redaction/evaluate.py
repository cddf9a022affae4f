"""Recall by kind and precision of the redaction rules, as Markdown tables.

    python contrib/redaction/evaluate.py --labelled secrets.jsonl --leave-out ip_public

Three measures: labelled texts given by path, secrets generated from published formats, and the same secrets planted
into benign text of this machine. Nothing of the texts is printed; `--show` prints what was missed or falsely found, for
whoever improves a rule.
"""

import argparse
import random
import sys
from collections.abc import Iterable
from pathlib import Path

from benign import benign
from generated import generated
from measuring import Labelled, Measured, agreeing, halves, measure, read_labelled
from notations import renotated

from failgate.redaction import RULES, RULES_VERSION, Scanner, redact


def main() -> int:
    """Measure what the arguments name; return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--labelled", type=Path, action="append", default=[], help="JSONL: text, kind, label, start, end"
    )
    parser.add_argument("--leave-out", action="append", default=[], help="a kind whose labels are no secrets by form")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=20, help="generated secrets of each kind")
    parser.add_argument("--benign-lines", type=int, default=5000)
    parser.add_argument("--show", action="store_true", help="print misses and false alarms")
    chosen = parser.parse_args()
    scanner = Scanner(key=bytes(32))
    print(f"{len(RULES)} rules, {RULES_VERSION}\n")
    for path in chosen.labelled:
        texts = list(read_labelled(path))
        _report(f"{path.name}, all labels", measure(texts, scanner), is_showing=False)
        alike = agreeing(texts)
        _report(f"{path.name}, texts whose labels agree", measure(alike, scanner), is_showing=False)
        for name, half in zip(("one half", "the other"), halves(alike, chosen.seed), strict=True):
            _summary(f"{name} of them", measure(half, scanner))
        _summary("in other notations and letters", measure(list(renotated(alike, chosen.seed)), scanner))
        real = [one for one in alike if not (one.is_secret and _is_no_secret(one, chosen.leave_out))]
        _report(f"{path.name}, labels that are secrets by form", measure(real, scanner), is_showing=chosen.show)
    made = list(generated(chosen.seed, chosen.each))
    _report("generated from published formats", measure(made, scanner), is_showing=chosen.show)
    if chosen.benign_lines:
        _planted(made, list(benign(chosen.seed, chosen.benign_lines)), scanner, chosen.seed, is_showing=chosen.show)
    return 0


def _is_no_secret(one: Labelled, left_out: list[str]) -> bool:
    """Tell whether a label cannot be a secret: its kind is left out, or it is a run of one character such as `xxxx`."""
    secret = one.text[one.start : one.end]
    return one.kind in left_out or any(letter * 6 in secret for letter in "xX*.")


def _report(name: str, measured: Measured, *, is_showing: bool) -> None:
    total = measured.total()
    print(f"## {name}\n")
    print("| kind | secrets | touched | whole | benign texts | falsely found |\n|---|---:|---:|---:|---:|---:|")
    full = 0
    for kind, one in sorted(measured.kinds.items()):
        if one.whole == one.secrets and not one.false_texts:
            full += one.secrets
            continue
        print(f"| {kind} | {one.secrets} | {one.touched} | {one.whole} | {one.benign} | {one.false_texts} |")
    print(f"| every other kind | {full} | {full} | {full} | | 0 |")
    print(f"| together | {total.secrets} | {total.touched} | {total.whole} | {total.benign} | {total.false_texts} |\n")
    if total.secrets:
        _summary("together", measured)
    if is_showing:
        for one in measured.missed:
            print("missed", one.kind, repr(one.text[max(0, one.start - 60) : one.end + 20]), file=sys.stderr)
        for one, alarm in measured.alarms:
            print("false", alarm.rule, one.kind, repr(one.text[max(0, alarm.start - 60) : alarm.end]), file=sys.stderr)


def _summary(name: str, measured: Measured) -> None:
    total = measured.total()
    found = total.touched + total.false_texts
    print(f"{name}, {total.secrets} secrets and {total.benign} benign texts.", end=" ")
    print(f"Recall: {total.touched / total.secrets:.2%} touched, {total.whole / total.secrets:.2%} whole.", end=" ")
    print(f"Precision: {total.touched / max(found, 1):.2%}.\n")


def _planted(made: list[Labelled], texts: list[Labelled], scanner: Scanner, seed: int, *, is_showing: bool) -> None:
    """Plant 500 secrets into the benign texts, each between two lines, and count findings beside them."""
    benign_alone = measure(texts, scanner)
    _report("benign text of this machine", benign_alone, is_showing=is_showing)
    chosen = random.Random(seed)
    planted = chosen.sample(made, min(500, len(made)))
    content, spans = _mixed(planted, [one.text for one in texts], chosen)
    findings = redact(content, scanner).findings
    true = sum(any(start < one.end and one.start < end for start, end in spans) for one in findings)
    whole = sum(_is_covered(start, end, [(one.start, one.end) for one in findings]) for start, end in spans)
    touched = sum(any(start < one.end and one.start < end for one in findings) for start, end in spans)
    lines = content.count("\n")
    print(f"## {len(planted)} generated secrets among {lines} lines of benign text\n")
    print(f"Recall: {touched / len(spans):.2%} touched, {whole / len(spans):.2%} whole.", end=" ")
    print(f"Precision: {true / max(len(findings), 1):.2%} of {len(findings)} findings.")


def _mixed(planted: list[Labelled], texts: list[str], chosen: random.Random) -> tuple[str, list[tuple[int, int]]]:
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    lines = [line for text in texts for line in text.splitlines(keepends=True)]
    places = set(chosen.sample(range(len(lines)), min(len(planted), len(lines))))
    waiting = iter(planted)
    size = 0
    for number, line in enumerate(lines):
        pieces.append(line if line.endswith("\n") else line + "\n")
        size += len(pieces[-1])
        if number in places:
            one = next(waiting)
            spans.append((size + one.start, size + one.end))
            pieces.append(one.text.rstrip("\n") + "\n")
            size += len(pieces[-1])
    return "".join(pieces), spans


def _is_covered(start: int, end: int, findings: Iterable[tuple[int, int]]) -> bool:
    covered = sum(max(0, min(end, last) - max(start, first)) for first, last in findings)
    return covered == end - start


if __name__ == "__main__":
    sys.exit(main())
