"""Whatever happened to a checkpoint on its way: it is read, or refused in words."""

import copy
import io

import torch
from hypothesis import given
from hypothesis import strategies as st

from fakereal.models.checkpoint import load_classifier, write_safetensors
from fakereal.runtime.errors import UserError

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(st.text(max_size=4), PLAIN, max_size=2)


def loads(path):
    """Whether it is taken; all but a UserError that names the key fails the test."""
    try:
        loaded = load_classifier(path)
    except UserError as error:
        assert f"ckpt_path={path}" in str(error)
        return False
    assert loaded.classifier.probabilities(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)).shape == (1,)
    return True


def test_altered_bytes_are_read_or_refused(checkpoint, tmp_path):
    torch_file = checkpoint.read_bytes()
    write_safetensors(torch.load(checkpoint, weights_only=True), tmp_path / "a.safetensors")
    taken = []
    files = {"ckpt": torch_file, "safetensors": (tmp_path / "a.safetensors").read_bytes()}

    @given(
        kind=st.sampled_from(sorted(files)),
        places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
        headers=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=8),
        cut=st.just(1.0) | st.floats(0, 1),
    )
    def try_out(kind, places, headers, cut):
        data = bytearray(files[kind])
        for share, value in places:
            data[int(share * len(data))] = value
        for place, value in headers:
            data[place] = value
        path = tmp_path / f"altered.{kind}"
        path.write_bytes(data[: int(cut * len(data))])
        taken.append(loads(path))

    try_out()
    assert any(taken) and not all(taken)


def test_altered_contents_are_read_or_refused(checkpoint, tmp_path):
    right = torch.load(checkpoint, weights_only=True)
    right = {key: right[key] for key in ("fakereal", "hyper_parameters", "state_dict")}
    places = [(part, key) for part in right for key in right[part]] + [(part, None) for part in right]
    places += [("fakereal", key, inner) for key in ("data", "reference") for inner in right["fakereal"][key]]
    path = tmp_path / "altered.ckpt"
    taken = []

    @given(st.sampled_from(places), VALUES, st.booleans())
    def try_out(place, value, left_out):
        changed = copy.deepcopy(right)
        part, *keys = [key for key in place if key is not None]
        holder = changed
        for key in (part, *keys)[:-1]:
            holder = holder[key]
        if left_out:
            del holder[(part, *keys)[-1]]
        else:
            holder[(part, *keys)[-1]] = value
        buffer = io.BytesIO()
        torch.save(changed, buffer)
        path.write_bytes(buffer.getvalue())
        taken.append(loads(path))

    try_out()
    assert any(taken) and not all(taken)
