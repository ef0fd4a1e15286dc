"""Of which images a result is, at whatever size they are stored."""

from fakereal.runs.images import Images


def test_equal_files_are_the_same_images_at_any_size():
    small, large = (Images.of_data({"digest": size, "files": "f"}) for size in ("32 px", "64 px"))
    assert small.same_as(large) and large.same_as(small)
    assert not small.same_as(Images("64 px", "other files"))
    assert Images.of(small.named()) == small


def test_what_an_earlier_version_wrote_is_known_by_the_stored_pixels_alone():
    earlier = Images.of({"data_digest": "32 px"})
    assert earlier.same_as(Images("32 px", "f")) and not earlier.same_as(Images("64 px", "f"))
    assert not earlier.same_as(Images("64 px")) and earlier.named() == {"data_digest": "32 px"}
    assert Images.of_data({"digest": "32 px", "files": [1]}) == earlier, "a damaged file's"
