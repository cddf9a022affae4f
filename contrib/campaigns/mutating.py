"""One small change to a module's text at a time: what a slip of the hand, or somebody who means harm, would change.

Comments, annotations, decorators, sentences of errors and what states an invariant for the type checker stay.
"""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
WORKED_OUT: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}  # fmt: skip
SILENT = ("log", "_log", "logger")  # what is told to operators is no promise


@dataclass(frozen=True)
class Mutant:
    """One change: `text` is the module with it; `line` and `words` tell a person where and what."""

    module: str
    line: int
    statement: range  # the lines of the statement that it is in, without its body: what runs one of them runs it
    words: str
    text: str
    identity: str  # the same as long as the function around it is the same, whatever else changes in the file

    def rank(self, seed: int) -> str:
        """Return a place in the order that a sample is taken in."""
        return hashlib.sha256(f"{seed}:{self.identity}".encode()).hexdigest()


def mutants_of(module: str, text: str) -> list[Mutant]:
    """Return every mutant of the module's `text`."""
    return list(_Changes(module, text).found())


class _Changes:
    def __init__(self, module: str, text: str) -> None:
        self._module = module
        self._content = text.encode()
        starts = [0]
        for line in self._content.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        self._starts = starts
        self._seen: dict[str, int] = {}

    def found(self) -> Iterator[Mutant]:
        yield from self._below(ast.parse(self._content), "", range(0))

    def _below(self, node: ast.AST, scope: str, statement: range) -> Iterator[Mutant]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            scope = f"{scope}.{node.name}"
        for child in _kept(node):
            lines = _lines(child) if isinstance(child, ast.stmt) else statement
            for kind, changed in _changed(child, node):
                yield self._mutant(child, kind, changed, scope, lines)
            yield from self._below(child, scope, lines)

    def _mutant(self, node: ast.expr | ast.stmt, kind: str, changed: str, scope: str, lines: range) -> Mutant:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        first = self._starts[node.lineno - 1] + node.col_offset
        last = self._starts[node.end_lineno - 1] + node.end_col_offset
        before = " ".join(self._content[first:last].decode().split())
        identity = f"{self._module}:{scope}:{kind}:{before}"
        self._seen[identity] = self._seen.get(identity, 0) + 1
        text = (self._content[:first] + changed.encode() + self._content[last:]).decode()
        words = f"{before[:90]} -> {changed[:90]}"
        return Mutant(self._module, node.lineno, lines, words, text, f"{identity}:{self._seen[identity]}")


def _lines(node: ast.stmt) -> range:
    """Return the lines of a statement; of one with a body, those of its head."""
    assert node.end_lineno is not None
    body: list[ast.AST] = getattr(node, "body", None) or getattr(node, "cases", None) or []
    last = min((one.lineno - 1 for one in body if isinstance(one, ast.stmt)), default=node.end_lineno)
    return range(node.lineno, max(last, node.lineno) + 1)


def _kept(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the children that are changed: no annotation, decorator, docstring, invariant, sentence of an error."""
    left_out: list[ast.AST | None] = []
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        left_out += [*node.decorator_list, node.returns, *_docstring(node)]
    elif isinstance(node, ast.ClassDef):
        left_out += [*node.decorator_list, *node.bases, *node.keywords, *_docstring(node)]
    elif isinstance(node, ast.Module):
        left_out += _docstring(node)
    elif isinstance(node, ast.AnnAssign | ast.arg):
        left_out.append(node.annotation)
    elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in {"list", "dict"}:
        return  # list[str]() and the like: a type
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom | ast.Assert | ast.JoinedStr | ast.match_case):
            if isinstance(child, ast.match_case):
                yield from child.body
            continue
        if isinstance(node, ast.Raise) or child in left_out or _is_told(child):
            continue
        yield child


def _docstring(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module) -> list[ast.AST]:
    return [one for one in node.body if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)]


def _is_told(node: ast.AST) -> bool:
    """Tell whether the statement only tells operators something."""
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return False
    called = node.value.func
    return isinstance(called, ast.Attribute) and ast.unparse(called.value).rpartition(".")[2] in SILENT


def _changed(node: ast.AST, parent: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield what kind of change, and the text that stands there instead of `node`."""
    match node:
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            yield "compare", f"({ast.unparse(ast.Compare(left, [COMPARED[type(operator)]()], [right]))})"
        case ast.BoolOp(op=operator, values=values):
            yield (
                "both",
                f"({ast.unparse(ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values))})",
            )
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "not", f"({ast.unparse(operand)})"
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in WORKED_OUT and not _is_text(node):
            yield "worked out", f"({ast.unparse(ast.BinOp(left, WORKED_OUT[type(operator)](), right))})"
        case ast.Constant(value=bool() as value):
            yield "truth", str(not value)
        case ast.Constant(value=int() as value):
            yield "number", f"({value + 1})"
        case ast.Constant(value=str() as value) if isinstance(
            parent, ast.Compare | ast.Set | ast.Tuple | ast.Subscript
        ):
            yield "text", repr(value + "!")
        case ast.Raise():
            yield "no refusal", "pass"
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield "no call", "pass"
        case ast.Return(value=value) if value is not None and not _is_nothing(value):
            yield "nothing returned", "return None"
        case ast.Continue():
            yield "loop", "break"
        case ast.AugAssign(target=target, op=operator, value=value) if type(operator) in WORKED_OUT:
            yield "added up", ast.unparse(ast.AugAssign(target, WORKED_OUT[type(operator)](), value))
        case _:
            return


def _is_text(node: ast.BinOp) -> bool:
    """Tell whether it is a text or a type that is put together: another sign there only crashes."""
    sides = ast.walk(node)
    return any(isinstance(one, ast.JoinedStr) or (isinstance(one, ast.Constant) and _is_texts(one)) for one in sides)


def _is_texts(one: ast.Constant) -> bool:
    return one.value is None or isinstance(one.value, str | bytes)


def _is_nothing(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def toothless(text: str) -> str:
    """Return the text of tests that run all they did, and fail for nothing that they find."""

    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            failures = ast.parse("(Exception, __import__('pytest').fail.Exception)", mode="eval").body
            node.body = [ast.Try(node.body, [ast.ExceptHandler(failures, None, [ast.Pass()])], [], [])]
    return ast.unparse(ast.fix_missing_locations(tree))
