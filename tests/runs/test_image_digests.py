"""Of which images a result is, at whatever size they are stored."""

from fakereal.runs.image_digests import ImageDigests


def test_equal_files_are_the_same_images_at_any_size():
    small, large = (ImageDigests.of_provenance({"digest": size, "files": "f"}) for size in ("32 px", "64 px"))
    assert small.same_as(large) and large.same_as(small)
    assert not small.same_as(ImageDigests("64 px", "other files"))
    assert ImageDigests.of(small.named()) == small


def test_what_an_earlier_version_wrote_is_known_by_the_stored_pixels_alone():
    earlier = ImageDigests.of({"data_digest": "32 px"})
    assert earlier.same_as(ImageDigests("32 px", "f")) and not earlier.same_as(ImageDigests("64 px", "f"))
    assert not earlier.same_as(ImageDigests("64 px")) and earlier.named() == {"data_digest": "32 px"}
    assert ImageDigests.of_provenance({"digest": "32 px", "files": [1]}) == earlier, "a damaged file's"
