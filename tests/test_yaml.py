"""The YAML door: what is no data of ours is refused here, with the file and the line."""

import os

import pytest

from gammax._yaml import dump_yaml, parse_yaml, read_yaml
from gammax.errors import FileFormatError, GammaxError, SchemaError, UnsafeInputError


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("{[1, 2]: 3}", "GX-YAML-011"),
        ("{{a: 1}: 3}", "GX-YAML-011"),
        ("{1: 3}", "GX-YAML-011"),
        ("{null: 3}", "GX-YAML-011"),
        ("!!omap [a: 1]", "GX-YAML-012"),
        ("!!set {a}", "GX-YAML-012"),
        ("!!timestamp abc", "GX-YAML-012"),
        ("!!binary '@'", "GX-YAML-012"),
        ("!mine 3", "GX-YAML-012"),
        ("!!map [1]", "GX-YAML-009"),
        ("!!float x", "GX-YAML-009"),
        ("!!int abc", "GX-YAML-009"),
        ("!!bool maybe", "GX-YAML-009"),
        ("9" * 5000, "GX-YAML-010"),
        ("!!seq x", "GX-YAML-001"),
        ("!!str [a]", "GX-YAML-001"),
    ],
)
def test_values_that_are_no_data(value, code):
    with pytest.raises(SchemaError) as caught:
        parse_yaml(f"good: 1\nbad: {value}\n", file="a.yaml")
    assert (caught.value.code, caught.value.context["file"]) == (code, "a.yaml")
    assert caught.value.context.get("line", 2) == 2


def test_naming_the_file_keeps_the_hint():
    with pytest.raises(SchemaError, match="put it in quotes") as caught:
        parse_yaml("1: 2", file="a.yaml")
    assert caught.value.context == {"file": "a.yaml", "line": 1, "found": "'1'"}


def test_explicit_tags_of_plain_data_are_read():
    assert parse_yaml("a: !!str 1\nb: !!float 1\nc: !!map {d: !!seq [1]}\n") == {"a": "1", "b": 1.0, "c": {"d": [1]}}
    assert parse_yaml(dump_yaml({"1": "1e5", "x": 1e-12})) == {"1": "1e5", "x": 1e-12}


def test_what_is_no_text_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    for name, words in (
        ("no.yaml", "no such file"),
        ("", "is a folder"),
        ("pipe", "is not a regular file"),
        ("latin.yaml", "not UTF-8 text"),
        ("x" * 300, "File name too long"),
        ("a\0b", "no file can have this path"),
    ):
        with pytest.raises(FileFormatError, match=words) as caught:
            read_yaml(tmp_path / name if name else tmp_path, "configuration")
        assert str(caught.value).count(str(tmp_path)) == 1
        assert "\n" not in caught.value.what


def test_size_is_looked_at_before_the_content(tmp_path):
    with (tmp_path / "big.yaml").open("wb") as stream:
        stream.truncate(2**40)  # a hole, that no memory could hold
    with pytest.raises(UnsafeInputError, match="GX-YAML-007"):
        read_yaml(tmp_path / "big.yaml")


def test_nothing_else_leaves(monkeypatch):
    monkeypatch.setattr("gammax._yaml.yaml.load", lambda *args, **options: {}[1])
    with pytest.raises(GammaxError, match="GX-YAML-001"):
        parse_yaml("a: 1")
