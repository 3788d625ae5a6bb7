"""YAML as users mean it: ``1e-12`` is a number, ``on`` and ``2:30`` are text, a repeated key is an error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from gammax._paths import file_fault, resolve_path, write_text
from gammax.errors import FileFormatError, GammaxError, SchemaError, UnsafeInputError

MAX_BYTES = 64 * 2**20
MAX_DEPTH = 64
MAX_DIGITS = 300
_TAGS = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map"))


class _Loader(yaml.SafeLoader):
    """Safe loader with the scalars of YAML 1.2."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            kind = node.tag.rpartition(":")[2]
            raise SchemaError(
                "GX-YAML-009", f"what is tagged !!{kind} is none", line=node.start_mark.line + 1, expected=kind
            ) from error


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    (
        "float",
        r"^[-+]?(?:(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.inf|\.Inf|\.INF)$|^\.nan$",
        "-+0123456789.",
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    # Python spells infinity and NaN without YAML's dot
    special = node.value.lower().lstrip("+-") in (".inf", ".nan")
    return float(node.value.replace(".", "", 1) if special else node.value)


def _int(loader: _Loader, node: yaml.ScalarNode) -> int:
    # a number beyond the range of a float is no number of ours, and fails far from here
    if len(node.value) > MAX_DIGITS:
        raise SchemaError("GX-YAML-010", f"a number of more than {MAX_DIGITS} digits", line=node.start_mark.line + 1)
    return loader.construct_yaml_int(node)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key, line = key_node.value, key_node.start_mark.line + 1
        if key_node.tag != "tag:yaml.org,2002:str":
            found = repr(key) if isinstance(key, str) else f"a {key_node.id}"
            raise SchemaError("GX-YAML-011", "a key must be text", line=line, found=found, do="put it in quotes")
        if key in seen:
            raise SchemaError("GX-YAML-003", f"key {key!r} is given twice", lines=f"{seen[key]} and {line}")
        seen[key] = line
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:float", _float)
_Loader.add_constructor("tag:yaml.org,2002:int", _int)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def _check_events(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise UnsafeInputError("GX-YAML-004", "aliases (*name) are not read", line=event.start_mark.line + 1)
        tag = getattr(event, "tag", None)
        if tag is not None and tag.startswith("tag:yaml.org,2002:python"):
            raise UnsafeInputError("GX-YAML-005", f"tag {tag} asks to run code", line=event.start_mark.line + 1)
        if tag not in (None, "!", *_TAGS):
            raise SchemaError("GX-YAML-012", f"tag {tag} is not read", line=event.start_mark.line + 1)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise UnsafeInputError(
                "GX-YAML-006", f"nested deeper than {MAX_DEPTH} levels", line=event.start_mark.line + 1
            )


def parse_yaml(text: str, what: str = "document", file: str | Path | None = None) -> dict[str, Any]:
    """Mapping at the top of a YAML text.

    Raises
    ------
    SchemaError : not YAML, empty, no mapping, a repeated key. UnsafeInputError : code tags, aliases, depth, size.
    """
    if len(text) > MAX_BYTES:
        raise UnsafeInputError("GX-YAML-007", f"{what} is larger than {MAX_BYTES} bytes", file=file)
    try:
        _check_events(text)
        content = yaml.load(text, Loader=_Loader)
    except GammaxError as error:
        if file is not None:
            raise error.with_context(file=file) from error
        raise
    except Exception as error:
        raise SchemaError("GX-YAML-001", f"{what} is not valid YAML: {error}", file=file) from error
    if not isinstance(content, dict):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise SchemaError("GX-YAML-002", f"{what} must be a mapping", found=found, expected="key: value", file=file)
    return content


def read_yaml(path: str | Path, what: str = "document") -> dict[str, Any]:
    """Mapping at the top of a YAML file; errors as `parse_yaml`, with the file named.

    Raises
    ------
    FileFormatError : the file is missing, not a regular file, or not text.
    """
    path = resolve_path(path)
    if fault := file_fault(path):
        raise FileFormatError(
            "GX-YAML-008", f"cannot read the {what}: {fault}", file=path, do="check the path and its base folder"
        )
    if path.stat().st_size > MAX_BYTES:
        raise UnsafeInputError("GX-YAML-007", f"{what} is larger than {MAX_BYTES} bytes", file=path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(
            "GX-YAML-008", f"cannot read the {what}: it is not UTF-8 text", file=path, do="save it as UTF-8"
        ) from error
    return parse_yaml(text, what, path)


class _Dumper(yaml.SafeDumper):
    """Dumper in the field's layout: indented lists, floats that read back to the same bits."""

    def increase_indent(self, flow: bool = False, indentless: bool = False):
        return super().increase_indent(flow, False)


def _represent_float(dumper: _Dumper, value: float) -> yaml.Node:
    text = repr(float(value)).replace("inf", ".inf").replace("nan", ".nan")
    # "1e-12" would be text for a YAML 1.1 reader such as Gammapy's: write "1.0e-12"
    mantissa, _, exponent = text.partition("e")
    if exponent and "." not in mantissa:
        text = f"{mantissa}.0e{exponent}"
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


def _represent_str(dumper: _Dumper, value: str) -> yaml.Node:
    # the dumper knows YAML 1.1 only: text that our loader would take for a number needs quotes as well
    plain = _Loader("").resolve(yaml.ScalarNode, value, (True, False)) == "tag:yaml.org,2002:str"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else "'")


_Dumper.add_representer(float, _represent_float)
_Dumper.add_representer(str, _represent_str)


def dump_yaml(content: dict[str, Any]) -> str:
    """YAML text, block style, in the order of the mapping."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, indent=4, default_flow_style=False, allow_unicode=True)


def write_yaml(content: dict[str, Any], path: str | Path, overwrite: bool = False) -> Path:
    """Write a mapping as YAML, atomically; errors as `gammax._paths.replace_file`."""
    return write_text(dump_yaml(content), path, overwrite)
