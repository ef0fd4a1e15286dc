"""Whatever is typed: paths arrive as they are, and a config is right or its problems are told."""

import copy
import string

from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import assume, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from fakereal.config.argv import quote_paths
from fakereal.config.schema import check
from fakereal.runtime.errors import UserError

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=","), min_size=1)
ODD = st.text(string.ascii_letters + string.digits + "()[]{}'\"\\=:;!@#%^&*~ -+.$/", min_size=1)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(string.printable, max_size=12).filter(lambda text: "${" not in text and text != "???"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(string.ascii_lowercase, min_size=1), inner),
    max_leaves=4,
)


@given(NAMES | ODD)
def test_any_path_arrives_as_it_is_typed(path):
    assume(path[0] not in "'\"[" and "${" not in path and path.lower() != "null")  # they mean something to Hydra
    [word] = quote_paths([f"data.root={path}"])
    override = OverridesParser.create().parse_override(word)
    assert not override.is_sweep_override() and str(override.value()) == path


def keys_of(node, path=""):
    for key in node:
        if OmegaConf.is_dict(node) and not OmegaConf.is_missing(node, key):
            child = OmegaConf.select(node, key, throw_on_resolution_failure=False)
            yield from keys_of(child, f"{path}{key}.") if OmegaConf.is_dict(child) and child else [f"{path}{key}"]


def test_a_config_is_right_or_its_problems_are_told(composed):
    right = composed("data=synthetic", "model=cnn", "callbacks=[]", "logger=none")
    check(right)
    keys = [key for key in keys_of(right) if not key.endswith("_target_")]
    assert len(keys) > 50
    refused = 0

    @given(st.dictionaries(st.sampled_from(keys), VALUES, min_size=1, max_size=3))
    def try_out(changes):
        nonlocal refused
        changed = copy.deepcopy(right)
        for key, value in sorted(changes.items(), reverse=True):  # what lies deeper first
            OmegaConf.update(changed, key, value, merge=False)
        try:
            check(changed)
        except UserError as error:
            refused += 1
            assert any(f"`{key.split('.')[0]}" in str(error) for key in changes)

    try_out()
    assert refused
