"""What a person is told beside an answer."""

import io
import threading

import anyio
import numpy as np
import pytest
import torch
from lightning import Fabric
from PIL import Image

from fakereal.models.distance.from_training import DistanceFromTraining
from fakereal.models.distance.reference import fit_reference, pixel_statistics
from fakereal.models.ensemble import load_members

pytest.importorskip("gradio")
from fakereal.serving import limits
from fakereal.serving.desk import Desk, Uploads, programs
from fakereal.serving.judge import Judge
from fakereal.serving.limits import Busy, Guard, Limits, Room
from fakereal.serving.page import rendered

LIMITS = Limits(max_file_mb=1, max_request_mb=2, max_pixels=10**6, max_images=4, concurrency=2, queue=1)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def judge(checkpoints):
    """`judge()`: of one checkpoint, on the CPU."""
    [member] = load_members(str(checkpoints[0]))
    fabric = Fabric(accelerator="cpu", devices=1)
    return lambda: Judge([member], fabric, LIMITS, None, threading.Lock())


def test_pictures_are_the_image_what_the_network_saw_and_its_map(judge):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    certain = judge()
    classifier = certain.predictor.members[0].classifier
    classifier.hparams.image_size = 128  # whose last map has 4 x 4 cells
    torch.nn.init.ones_(classifier.backbone.fc.weight)  # all that is seen speaks for FAKE
    [said] = certain([("a.png", png(pixels))], pictures=True)
    assert said.answer.prediction == "FAKE" and said.no_map == ""
    assert said.own.shape == said.map.shape == (192, 384, 3) and said.seen.shape == (384, 384, 3)
    assert np.array_equal(said.own[::6, ::6], pixels)
    narrow = np.asarray(Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(said.seen[::12, ::12], narrow)
    classifier.hparams.image_size = 32
    [said] = certain([("a.png", png(pixels))], pictures=True)
    assert said.map is None and "1 x 1 cells" in said.no_map and "use layer=" in said.no_map
    [said] = certain([("a.png", png(pixels))])
    assert said.own is said.seen is said.map is None


def test_it_tells_in_what_an_image_lies_far_from_training(judge):
    judge = judge()
    [member] = judge.predictor.members
    training = np.random.default_rng(1).integers(90, 160, (400, 32, 32, 3), dtype=np.uint8)
    assert all(not said.far for said in judge([("a.png", png(training[0]))]))  # nothing is known of sizes alone
    images = torch.from_numpy(training).permute(0, 3, 1, 2)
    backbone = member.classifier
    with torch.inference_mode():
        features = backbone.backbone.forward_head(backbone.backbone.forward_features(backbone.prepared(images)), True)
    sides = np.full(400, 32)
    member.reference = fit_reference(sides, sides, features, pixel_statistics(images))
    judge.predictor.distance = DistanceFromTraining([member])
    red = np.zeros((32, 32, 3), dtype=np.uint8) + np.array([255, 0, 0], dtype=np.uint8)
    files = [("near", png(training[0])), ("red", png(red)), ("large", png(training[0].repeat(8, 0).repeat(8, 1)))]
    near, bad, far, large = judge([files[0], ("bad", b"text"), *files[1:]])
    assert near.far == [] and bad.far == [] and bad.answer.error
    assert "its colours or sharpness" in far.far and not any("size" in said for said in far.far)
    assert large.far[0] == "its size or shape (training: 32 px a side, square)"
    words = [said.answer.far for said in (near, bad, far, large)]
    assert words[:3] == [(), None, ("content",)] and words[3][0] == "size", "as predict has them"


def test_a_room_has_places_for_who_works_and_who_waits():
    room = Room(LIMITS)
    with room.place(), room.place(), pytest.raises(ZeroDivisionError), room.place():
        with pytest.raises(Busy), room.place():
            pass
        raise ZeroDivisionError
    with room.place(), room.place(), room.place():
        assert room.free == 0
    assert room.free == 3


@pytest.mark.parametrize("sent", [[], [b"--b\r\n"]])
def test_who_begins_a_request_and_sends_no_more_is_refused(monkeypatch, tmp_path, sent):
    monkeypatch.setattr(limits, "SILENT_SECONDS", 0.1)
    told = []
    guarded = Guard(programs(Desk({}, LIMITS), Uploads(tmp_path, LIMITS)), LIMITS)
    parts = iter(sent)

    async def receive():
        if (part := next(parts, None)) is None:
            await anyio.sleep_forever()
        return {"type": "http.request", "body": part, "more_body": True}

    async def send(message):
        told.append(message)

    headers = [(b"content-type", b"multipart/form-data; boundary=b"), (b"content-length", b"1000")]
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers, "query_string": b""}
    anyio.run(guarded, scope, receive, send)
    assert told[0]["status"] == 408 and b"was not completed in time" in told[1]["body"]


def test_an_upload_is_given_once(tmp_path):
    uploads = Uploads(tmp_path, LIMITS)

    async def kept():
        return uploads.keep("a.png", b"bytes")

    path = anyio.run(kept)
    assert uploads.take(path) == ("a.png", b"bytes") and uploads.take(path) is None


def test_who_sends_a_little_for_ever_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(limits, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(limits, "SLOWEST", 10_000)  # bytes a second: 1,000 may take 0.4 s in all
    told = []
    guarded = Guard(programs(Desk({}, LIMITS), Uploads(tmp_path, LIMITS)), LIMITS)

    begun = iter([b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'])

    async def receive():
        await anyio.sleep(0.05)
        return {"type": "http.request", "body": next(begun, b"-"), "more_body": True}

    async def send(message):
        told.append(message)

    async def bounded():
        with anyio.fail_after(10):
            headers = [(b"content-type", b"multipart/form-data; boundary=b"), (b"content-length", b"1000")]
            scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers, "query_string": b""}
            await guarded(scope, receive, send)

    anyio.run(bounded)
    assert told[0]["status"] == 408


def test_who_goes_away_while_sending_leaves_no_traceback(tmp_path):
    guarded = Guard(programs(Desk({}, LIMITS), Uploads(tmp_path, LIMITS)), LIMITS)

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        told.append(message["type"])

    told = []
    headers = [(b"content-type", b"multipart/form-data; boundary=b"), (b"content-length", b"1000")]
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers, "query_string": b""}
    anyio.run(guarded, scope, receive, send)
    assert told[0] == "http.response.start"


def test_bodies_together_do_not_fill_the_memory(tmp_path):
    """Sixteen of the largest size at once, where eight may be held; afterwards the room is there again."""
    room = Limits(**vars(LIMITS) | {"queue": 100})
    guarded = Guard(programs(Desk({}, room), Uploads(tmp_path, room)), room)
    whole, told, most = guarded.room, [], 0
    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers, "query_string": b""}

    async def one():
        nonlocal most
        sent = [b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n', b"a" * (2**21 - 100)]

        async def receive():
            nonlocal most
            await anyio.sleep(0.1 if len(sent) < 2 else 0.01)
            most = max(most, whole - guarded.room)
            return (
                {"type": "http.request", "body": sent.pop(0), "more_body": True}
                if sent
                else {"type": "http.disconnect"}
            )

        async def send(message):
            told.append(message.get("status"))

        await guarded(scope, receive, send)

    async def all_of_them():
        async with anyio.create_task_group() as group:
            for _ in range(16):
                group.start_soon(one)

    anyio.run(all_of_them)
    assert told.count(503) == 8 and told.count(400) == 8 and guarded.room == whole
    assert most <= 9 * room.request_bytes


@pytest.mark.parametrize("temperature", [1.0, 1.3])
def test_a_probability_is_called_calibrated_where_it_was(judge, temperature):
    judge = judge()
    judge.predictor.members[0].classifier.temperature = temperature
    judged = judge([("a.png", png(np.zeros((32, 32, 3), np.uint8)))], pictures=True)
    page = rendered("answers", judged=judged, judge=judge, name="")
    assert ("calibrated probability that the image is FAKE" in page) == (temperature != 1)
    assert ">probability that the image is FAKE" in page or temperature != 1
