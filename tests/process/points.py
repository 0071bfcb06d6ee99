"""The await points of the jobs that cost money, read from their code; and a way to stand at one of them.

A point is an `await`, a step of an `async for`, or the entering or leaving of an `async with`, in a job's kind
or in a function of `engine/azure` that it reaches. `watched` compiles a module anew with a call around each
point; the product's own code knows nothing of it.
"""

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
KINDS = {name: f"engine/jobs/kinds/{name}.py" for name in ("batch", "fine_tune", "deploy")}
CANCELS = {
    "batch": "engine/jobs/kinds/batch.py",
    "deploy": "engine/jobs/kinds/deploy.py",
    "fine_tune": "engine/jobs/kinds/tuning_cancel.py",
}
"""Where each kind of job has its `cancel`."""
AZURE = ("batches", "files", "fine_tuning", "deployments")
OTHERS = ("__init__", "score", "probe", "train")
"""Kinds of job that are not in the matrix: a killed one asks again what was not answered yet, by design."""
FILES = (
    *(
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "engine/jobs/kinds").glob("*.py"))
        if path.stem not in OTHERS
    ),
    *(f"engine/azure/{name}.py" for name in AZURE),
)


@dataclass(frozen=True)
class Point:
    """One await point. `key` is `file:line`, with a letter where several stand in one line."""

    key: str
    unit: str
    """`file:name` of the function or class at the top of the file that holds it."""
    function: str
    what: str
    text: str


class _Marker(ast.NodeTransformer):
    """Numbers the points of a module, and puts a call around each."""

    def __init__(self, file, source):
        self.file, self.lines = file, source.splitlines()
        self.points = []
        self._functions = []
        self._seen = {}

    def _point(self, node, what, place=None):
        place = place or node
        key = f"{self.file}:{node.lineno}"
        count = self._seen[key] = self._seen.get(key, 0) + 1
        key += "" if count == 1 else chr(ord("a") + count - 1)
        text = self.lines[node.lineno - 1].strip()
        unit = f"{self.file}:{self._functions[0] if self._functions else ''}"
        self.points.append(Point(key, unit, ".".join(self._functions), what, text))
        return ast.copy_location(ast.Constant(key), place)

    def _call(self, name, inner, *keys):
        call = ast.Call(ast.Name(name, ast.Load()), [*keys, inner], [])
        return ast.copy_location(call, inner)

    def _function(self, node):
        self._functions.append(node.name)
        self.generic_visit(node)
        self._functions.pop()
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _function

    def visit_Await(self, node):
        key = self._point(node, "await")
        self.generic_visit(node)
        node.value = self._call("__await__", node.value, key)
        return node

    def visit_AsyncFor(self, node):
        key = self._point(node, "async for")
        self.generic_visit(node)
        node.iter = self._call("__for__", node.iter, key)
        return node

    def visit_comprehension(self, node):
        if node.is_async:
            key = self._point(node.iter, "async for")
            self.generic_visit(node)
            node.iter = self._call("__for__", node.iter, key)
        else:
            self.generic_visit(node)
        return node

    def visit_AsyncWith(self, node):
        keys = [
            (self._point(item.context_expr, "enter"), self._point(item.context_expr, "leave")) for item in node.items
        ]
        self.generic_visit(node)
        for item, (enter, leave) in zip(node.items, keys, strict=True):
            item.context_expr = self._call("__with__", item.context_expr, enter, leave)
        return node


def marked(file):
    """Return a module's points, and its tree with calls around them."""
    source = (ROOT / file).read_text(encoding="utf-8")
    marker = _Marker(file, source)
    tree = ast.fix_missing_locations(marker.visit(ast.parse(source)))
    return marker.points, tree


def _units():
    """Return what the files define at their top: (file, name) → its node; and what each file imports of the others."""
    units, imported = {}, {}
    for file in FILES:
        for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                units[file, node.name] = node
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    name = alias.asname or alias.name
                    as_module = f"{node.module}.{alias.name}".replace(".", "/") + ".py"
                    as_name = str(node.module).replace(".", "/") + ".py"
                    if as_module in FILES:
                        imported[file, name] = as_module, None
                    elif as_name in FILES:
                        imported[file, name] = as_name, alias.name
    return units, imported


def reached(kind):
    """Return the units that a kind's `run` and `cancel` name, or that one of those does: more than it calls."""
    units, imported = _units()
    found, left = set(), [(KINDS[kind], "run"), (CANCELS[kind], "cancel")]
    while left:
        one = left.pop()
        if one in found or one not in units:
            continue
        found.add(one)
        for node in ast.walk(units[one]):
            if isinstance(node, ast.Name):
                left.append(imported.get((one[0], node.id), (one[0], node.id)))
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = imported.get((one[0], node.value.id))
                if module and module[1] is None:
                    left.append((module[0], node.attr))
    return {f"{file}:{name}" for file, name in found}


def points(kind):
    """Return the await points of a kind of job, in the order of the code."""
    units = reached(kind)
    return [point for file in FILES for point in marked(file)[0] if point.unit in units]


class Watch(importlib.abc.MetaPathFinder):
    """Imports the files with calls around their points. `at(key, when)` is called before and after each.

    `values` are constants of the modules (`module.NAME`) that are to be others: limits that no test can reach.
    """

    def __init__(self, at, values):
        self._at, self._values = at, values
        self._files = {file.removesuffix(".py").replace("/", "."): file for file in FILES}

    def install(self):
        assert not any(name in sys.modules for name in self._files), "imported already"
        sys.meta_path.insert(0, self)

    def find_spec(self, name, path=None, target=None):
        file = self._files.get(name)
        return file and importlib.util.spec_from_loader(
            name, _Loader(file, self._at, self._values), origin=str(ROOT / file)
        )


class _Loader(importlib.abc.Loader):
    def __init__(self, file, at, values):
        self._file, self._at, self._values = file, at, values

    def exec_module(self, module):
        module.__file__ = str(ROOT / self._file)
        module.__dict__.update(__await__=self._await, __for__=self._for, __with__=self._with)
        exec(compile(marked(self._file)[1], module.__file__, "exec"), module.__dict__)
        for name, value in self._values.items():
            if name.rpartition(".")[0] == module.__name__:
                assert hasattr(module, name.rpartition(".")[2]), name
                setattr(module, name.rpartition(".")[2], value)

    async def _await(self, key, awaitable):
        self._at(key, "before")
        result = await awaitable
        self._at(key, "after")
        return result

    async def _for(self, key, iterable):
        self._at(key, "before")
        async for item in iterable:
            self._at(key, "after")
            yield item

    def _with(self, enter, leave, manager):
        return _Within(enter, leave, manager, self._at)


class _Within:
    def __init__(self, enter, leave, manager, at):
        self._enter, self._leave, self._manager, self._at = enter, leave, manager, at

    async def __aenter__(self):
        self._at(self._enter, "before")
        entered = await self._manager.__aenter__()
        self._at(self._enter, "after")
        return entered

    async def __aexit__(self, *error):
        self._at(self._leave, "before")
        result = await self._manager.__aexit__(*error)
        self._at(self._leave, "after")
        return result
