"""docs/isa.md is generated and fresh, and every table entry is explained."""

from isa.docs import PAGE, main, page
from isa.spec import TABLE, Trap


def test_the_page_is_fresh(capsys):
    assert main(["--check"]) == 0, "run python -m isa.docs"
    assert PAGE.read_text(encoding="utf-8") == page()


def test_a_stale_page_is_reported(tmp_path, monkeypatch, capsys):
    stale = tmp_path / "isa.md"
    monkeypatch.setattr("isa.docs.PAGE", stale)
    assert main(["--check"]) == 1
    assert "docs/isa.md is not fresh: run python -m isa.docs" in capsys.readouterr().err
    assert main([]) == 0
    assert main(["--check"]) == 0
    stale.write_text("old")
    assert main(["--check"]) == 1
    assert main(["--chekc"]) == 2


def test_every_instruction_and_trap_is_described():
    text = page()
    for row in TABLE:
        section = text.split(f"### {row.mnemonic}\n")[1].split("\n#")[0]
        assert row.doc in section
        assert f"Opcode {row.opcode}, engine {row.engine.name}." in section
        for name in row.functions:
            assert f"`{name}`" in section
    for trap in Trap:
        assert f"| {int(trap)} | `{trap.name}` |" in text
