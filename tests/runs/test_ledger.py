"""The ledger of looks at test splits."""

from fakereal.runs.ledger import read_ledger, record_look


def test_an_entry_after_one_that_a_crash_cut_short_is_counted(tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text('{"data_digest": "d", "cut')
    metrics = {"checkpoint": "best.ckpt", "checkpoint_digest": "c", "data_digest": "d"}
    assert [record_look(ledger, metrics, tmp_path)[1] for _ in range(2)] == [1, 2]
    assert [entry["checkpoint_digest"] for entry in read_ledger(ledger)] == ["c", "c"]
