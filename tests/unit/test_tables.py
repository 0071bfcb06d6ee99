"""Tables as the programs of all countries write them: read as meant, or refused with the line and a hint that works."""

import codecs
import os
import shutil
import subprocess
import threading
import unicodedata

import pytest

from engine.datasets.tables import TextTable
from engine.errors import InputError
from engine.evaluation.synonyms import load_synonyms
from tests.unit.cataloguing import catalog
from tests.unit.test_labels import folder, lines

COLUMNS = (("path", "file"), ("label",))
ROWS = [("a/1.jpg", "Spaniel, Cocker"), ("a/2.jpg", "Épagneul")]


def rows(path, text, encoding="utf-8"):
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    table = TextTable(path, COLUMNS)
    (_, header), *found = table.rows()
    assert header == table.header
    return found


QUOTED = 'path,label\r\na/1.jpg,"Spaniel, Cocker"\r\na/2.jpg,Épagneul\r\n'


@pytest.mark.parametrize(
    "data",
    [
        QUOTED.encode(),
        codecs.BOM_UTF8 + QUOTED.encode(),
        codecs.BOM_UTF8 * 2 + QUOTED.encode(),
        codecs.BOM_UTF16_LE + QUOTED.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + QUOTED.encode("utf-16-be"),
        QUOTED.encode("utf-16-le"),
        QUOTED.encode("utf-16-be"),
        QUOTED.encode("utf-32"),
        QUOTED.encode("utf-32-le"),
        QUOTED.encode("utf-32-be"),
        QUOTED.replace("\r\n", "\n").encode(),
        QUOTED.replace("\r\n", "\r").encode(),
        QUOTED.rstrip().encode(),
        QUOTED.replace(",É", ", É").replace(',"', ', "').encode(),
        QUOTED.replace("path,label", "Path , LABEL").encode(),
        QUOTED.replace("\r\n", ",,\r\n").encode(),
        QUOTED.replace("path,label", "path,label,").encode(),
        "path;label\na/1.jpg;Spaniel, Cocker\na/2.jpg;Épagneul\n".encode(),
        "path\tlabel\na/1.jpg\tSpaniel, Cocker\na/2.jpg\tÉpagneul\n".encode(),
        "path|label\na/1.jpg|Spaniel, Cocker\na/2.jpg|Épagneul\n".encode(),
        "path\tlabel\na/1.jpg\tSpaniel, Cocker\na/2.jpg\tÉpagneul\n".encode("utf-16"),
    ],
    ids=range(21),
)
def test_what_is_certain_is_read_as_meant(tmp_path, data):
    found = rows(tmp_path / "set.csv", data)
    assert [tuple(cells) for _, cells in found] == ROWS
    assert [line for line, _ in found] == [2, 3]


def test_lines_are_counted_as_an_editor_does(tmp_path):
    text = 'sep=;\n\n \npath;label;note\na;b;"two\nlines"\n\n;;\nc;d;\n'
    assert rows(tmp_path / "set.csv", text) == [(5, ["a", "b", "two\nlines"]), (9, ["c", "d", ""])]
    assert rows(tmp_path / "set.csv", "\n,,\npath,label\na,b\n") == [(4, ["a", "b"])]


@pytest.mark.parametrize(
    ("text", "line", "fact", "hint"),
    [
        (
            "path,label\na/1.jpg,Spaniel, Cocker\n",
            2,
            "3 fields, the header has 2",
            'a comma in it, such as "Spaniel, C',
        ),
        ("label,path\nx,a/0.jpg\nSpaniel, Cocker,a/1.jpg\n", 3, "3 fields, the header has 2", "a comma in it"),
        ("path;label\na;b;c\n", 2, "3 fields, the header has 2", 'a semicolon in it, such as "Spaniel; C'),
        ("path\tlabel\na\tb\tc\n", 2, "3 fields, the header has 2", "a tab in it"),
        ("path,label,note\na,b\n", 2, "2 fields, the header has 3", "Complete"),
        ("path,label\na\n", 2, "1 field, the header has 2", "Complete"),
        ('path,label\na,"b\nc,d\ne,f\n', 2, "unexpected end of data", "quote"),
        ('path,label\na,b\nc,"d"e\n', 3, "expected after", "quote"),
        ("path,label\na,b\0\n", 2, "there is a zero byte", "CSV UTF-8"),
        ("path,label\na,b\n" + "\0" * 64, 3, "there is a zero byte", "CSV UTF-8"),
        ("path,label\na,É\n".encode("cp1252"), 2, "this is not UTF-8", "iconv -f cp1252 -t utf-8"),
        ("path,label\na,x\nb,犬\n".encode("shift-jis"), 3, "this is not UTF-8", "CSV UTF-8"),
        (b"path,label\ra,x\rb,\xff\x81\r", 3, "this is not UTF-8", "CSV UTF-8"),
        ("path,label\na,b\n".encode("utf-16") + b"\0", 3, "this is not UTF-16", "CSV UTF-8"),
        (codecs.BOM_UTF16_LE + "path,label\n".encode("utf-16-le") + b"\x00\xd8a\0", 2, "not UTF-16", "CSV UTF-8"),
    ],
)
def test_what_is_not_is_refused_with_its_line(tmp_path, text, line, fact, hint):
    with pytest.raises(InputError) as error:
        rows(tmp_path / "set.csv", text)
    assert error.value.message.startswith(f"{tmp_path / 'set.csv'}: line {line}: ")
    assert fact in error.value.message and hint in error.value.cure


@pytest.mark.parametrize(
    ("data", "words"), [(b"PK\x03\x04\x14", "an Excel workbook or zip"), (b"\x1f\x8b\x08", "gzip")]
)
def test_a_file_of_another_program_is_named(tmp_path, data, words):
    with pytest.raises(InputError, match=f"this is {words}, and no text.*CSV UTF-8"):
        rows(tmp_path / "set.csv", data)


@pytest.mark.skipif(shutil.which("iconv") is None, reason="needs iconv")
def test_the_command_in_a_hint_works(tmp_path):
    path = tmp_path / "it's a set.csv"
    with pytest.raises(InputError) as error:
        rows(path, "path,label\na,Épagneul\n", "cp1252")
    subprocess.run(error.value.cure.partition("European): ")[2], shell=True, check=True)
    assert [cells for _, cells in TextTable(tmp_path / "it's a set-utf8.csv", COLUMNS).rows()][1] == ["a", "Épagneul"]
    jsonl = lines(tmp_path, ["Pug", "Chow"] * 12)
    jsonl.write_text(jsonl.read_text(), encoding="utf-16")
    with pytest.raises(InputError, match=r"set\.jsonl: this is UTF-16, not UTF-8\. Convert it: ") as error:
        catalog(jsonl, tmp_path)
    subprocess.run(error.value.cure.removeprefix("Convert it: "), shell=True, check=True)
    assert catalog(tmp_path / "set-utf8.jsonl", tmp_path).labels == ["Chow", "Pug"]


def test_a_dataset_and_a_table_of_synonyms_in_other_encodings(tmp_path):
    folder(tmp_path, ["x"] * 24)
    text = "".join(f"set\\x\\{n:03d}.jpg;{('Spaniel, Cocker', 'Épagneul')[n % 2]}\n" for n in range(24))
    (tmp_path / "set.csv").write_text(f"path;label\n{text}", encoding="utf-16")
    assert catalog(tmp_path / "set.csv", tmp_path).labels == ["Spaniel, Cocker", "Épagneul"]
    (tmp_path / "synonyms.toml").write_text('"Pug" = ["Mops"]\n', encoding="utf-8-sig")
    assert load_synonyms(tmp_path / "synonyms.toml")["Pug"] == ("Mops",)


def test_paths_of_another_system_are_found(tmp_path):
    folder(tmp_path, ["Épagneul", "pug"] * 12)
    written = [f".\\set\\{unicodedata.normalize('NFD', 'Épagneul')}\\{n:03d}.jpg;a\n" for n in range(0, 24, 2)]
    (tmp_path / "set.csv").write_text(
        "path;label\n" + "".join(written) + "".join(f"set/pug/{n:03d}.jpg;b\n" for n in range(1, 24, 2))
    )
    found = catalog(tmp_path / "set.csv", tmp_path)
    assert {image.path.rpartition("/")[0] for image in found.images} == {"set/Épagneul", "set/pug"}
    written[1] = f"set/{'é' * 300}.jpg;a\n"  # longer than a disk takes
    rows = "".join(written) + "".join(f"set/pug/{n:03d}.jpg;b\n" for n in range(1, 24, 2))
    (tmp_path / "set.csv").write_text(f"path;label\n{rows}")
    with pytest.raises(InputError, match=r"é\.jpg: .*File name too long"):
        catalog(tmp_path / "set.csv", tmp_path)


def test_two_columns_of_one_name_are_refused(tmp_path):
    folder(tmp_path, ["x"])
    (tmp_path / "set.csv").write_text("path,label,Label\nset/x/000.jpg,a,b\n")
    with pytest.raises(InputError, match=r"line 1: there are several columns 'label'\. Remove all but one\."):
        catalog(tmp_path / "set.csv", tmp_path)


def test_a_table_may_come_through_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    writer = threading.Thread(target=(tmp_path / "pipe.csv").write_text, args=("path;label\na;b\n",))
    writer.start()
    found = [cells for _, cells in TextTable(tmp_path / "pipe.csv", COLUMNS).rows()]
    writer.join()
    assert found == [["path", "label"], ["a", "b"]]
