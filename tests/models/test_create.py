"""Backbones by name: what the user may get wrong, weights from files, downloads."""

import http.server
import json
import logging
import threading
import time

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import save_file

from fakereal.models.backbones import create_backbone
from fakereal.models.backbones.download import _answers
from fakereal.models.classifier import Classifier
from fakereal.runtime.errors import UserError

PROXIES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """An unreachable hub, empty caches, no proxy."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


def fails(match: str, *args, **kwargs) -> str:
    with pytest.raises(UserError, match=match) as caught:
        create_backbone(*args, **kwargs)
    return str(caught.value)


def same_but_for(network, other, left_out: tuple[str, ...] = ()) -> bool:
    own, theirs = network.state_dict(), other.state_dict()
    return all(key in left_out or torch.equal(value, theirs[key]) for key, value in own.items())


# names and arguments


@pytest.mark.parametrize("name", ["test_resnet", "test_resnet.r160_in1k", "lenet5", "cnn"])
def test_one_logit(name):
    assert create_backbone(name)(torch.rand(2, 3, 32, 32)).shape == (2, 1)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("resnet19", "resnet18"), ("ResNet-18", "resnet18"), ("lenet", "lenet5"), ("alexnett", "alexnet")],
)
def test_unknown_name_gets_the_nearest(name, nearest):
    message = fails(rf"`model\.backbone={name}` is not a network of timm or fakereal", name)
    assert nearest in message


def test_unknown_name_like_no_other():
    fails("lists all names", "qqqqqqqqqqqq")


def test_unknown_tag_gets_the_tags():
    fails(r"no weights with the tag `nope`.*resnet18\.a1_in1k", "resnet18.nope")


def test_hub_name_without_its_prefix():
    fails(r"use `hf-hub:timm/resnet18\.a1_in1k`", "timm/resnet18.a1_in1k")


def test_local_folder(tmp_path):
    network = timm.create_model("test_resnet", num_classes=5)
    timm.models.save_for_hf(network, tmp_path, safe_serialization=True)
    loaded = create_backbone(f"local-dir:{tmp_path}", pretrained=True)
    assert same_but_for(loaded, network, ("fc.weight", "fc.bias"))
    fails(r"`model\.backbone=local-dir:.*config\.json", f"local-dir:{tmp_path}/nothing")


def test_unknown_argument_gets_the_valid_names():
    fails(r"`model\.backbone_kwargs\.depth` .*test_resnet.*act_layer.*stem_width", "test_resnet", kwargs={"depth": 3})
    fails(r"`model\.backbone_kwargs\.depth` .*=cnn.*channels.*pooling", "cnn", kwargs={"depth": 3})


def test_arguments_with_keys_of_their_own():
    message = fails("model", "test_resnet", kwargs={"drop_rate": 0.1, "num_classes": 2})
    assert message.splitlines() == [
        "`model.backbone_kwargs.drop_rate` cannot be given: set `model.drop_rate`.",
        "`model.backbone_kwargs.num_classes` cannot be given: the network has one logit.",
    ]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"channels": [8, 0]}, r"`model\.backbone_kwargs\.channels\.1`.*greater than or equal to 1, got 0"),
        ({"channels": []}, r"`model\.backbone_kwargs\.channels`.*at least 1"),
        ({"pooling": "min"}, r"`model\.backbone_kwargs\.pooling`.*'max', 'average' or 'strided', got 'min'"),
        ({"activation": "step"}, r"`model\.backbone_kwargs\.activation`.*'relu'"),
        ({"kernel_size": 4}, r"`model\.backbone_kwargs\.kernel_size` must be odd, got 4"),
        ({"convs_per_block": [2, 1]}, r"`model\.backbone_kwargs\.convs_per_block=\[2, 1\]` names 2 .*128\]` 3"),
        ({"convs_per_block": [2, 2, 0]}, r"`model\.backbone_kwargs\.convs_per_block"),
        ({"residual": True, "convs_per_block": 1}, r"`model\.backbone_kwargs\.residual=true`.*block=1.*use 2"),
        ({"residual": True, "pooling": "strided"}, r"`model\.backbone_kwargs\.residual=true`.*strided.*max or"),
        ({"hidden": -1}, r"`model\.backbone_kwargs\.hidden`.*got -1"),
    ],
)
def test_bad_values_of_cnn(kwargs, message):
    fails(message, "cnn", kwargs=kwargs)


def test_bad_value_of_a_timm_network():
    fails(r"`model\.backbone_kwargs=\{'act_layer': 'step'\}`", "test_resnet", kwargs={"act_layer": "step"})


def test_too_many_blocks_for_the_images():
    message = fails(r"`model\.image_size`.*at least 64.*32 x 32", "cnn", image_size=32, kwargs={"channels": [4] * 6})
    assert "`model.backbone_kwargs.channels`" in message


def test_drop_path():
    network = create_backbone("test_convnext", drop_path_rate=0.2)
    assert max(getattr(module, "drop_prob", 0) or 0 for module in network.modules()) == pytest.approx(0.2)
    fails(r"`model\.drop_path_rate`.*vgg11", "vgg11", drop_path_rate=0.2)
    fails(r"`model\.drop_path_rate`.*cnn", "cnn", drop_path_rate=0.2)


def test_transformers_are_built_for_the_image_size():
    assert create_backbone("test_vit", image_size=64)(torch.rand(1, 3, 64, 64)).shape == (1, 1)
    fails(r"`model\.image_size` must be given for `model\.backbone=test_vit`.*=160", "test_vit")
    flexible = create_backbone("test_vit", kwargs={"dynamic_img_size": True})
    assert flexible(torch.rand(1, 3, 96, 64)).shape == (1, 1)


def test_cifar_stem_is_for_residual_networks():
    fails(r"`model\.stem=cifar`.*`model\.backbone=cnn`.*`model\.stem=default`", "cnn", stem="cifar")


# weights from a file


@pytest.fixture(scope="module")
def trained() -> torch.nn.Module:
    return timm.create_model("test_resnet", num_classes=10)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {f"module.{key}": value for key, value in state.items()}},
        lambda state: {f"_orig_mod.{key}": value for key, value in state.items()},
        lambda state: {  # a LightningModule with tensors of its own
            "state_dict": {f"backbone.{key}": value for key, value in state.items()} | {"mean": torch.zeros(3)},
            "hyper_parameters": {"lr": 0.1},
        },
        lambda state: {"netD": state, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}, "step": 3},
        lambda state: {"model_state_dict": {f"net.encoder.{key}": value for key, value in state.items()}},
    ],
)
def test_weights_round_trip(trained, wrap, tmp_path, caplog):
    torch.save(wrap(trained.state_dict()), tmp_path / "weights.pth")
    with caplog.at_level(logging.INFO):
        network = create_backbone("test_resnet", weights=str(tmp_path / "weights.pth"))
    assert same_but_for(network, trained, ("fc.weight", "fc.bias"))
    assert "fc.bias, fc.weight" in caplog.text


def test_averaged_weights_come_first(trained, tmp_path):
    zeros = {key: torch.zeros_like(value) for key, value in trained.state_dict().items()}
    torch.save({"state_dict": zeros, "state_dict_ema": trained.state_dict()}, tmp_path / "weights.pth")
    network = create_backbone("test_resnet", weights=str(tmp_path / "weights.pth"))
    assert same_but_for(network, trained, ("fc.weight", "fc.bias"))


def test_a_classifier_that_fits_is_kept_and_safetensors_are_read(tmp_path, caplog):
    trained = create_backbone("test_resnet")
    save_file(trained.state_dict(), tmp_path / "weights.safetensors")
    with caplog.at_level(logging.INFO):
        network = create_backbone("test_resnet", weights=str(tmp_path / "weights.safetensors"))
    assert same_but_for(network, trained)
    assert "left out" not in caplog.text


def test_weights_without_a_classifier(trained, tmp_path):
    headless = {key: value for key, value in trained.state_dict().items() if not key.startswith("fc.")}
    save_file(headless, tmp_path / "weights.safetensors")
    network = create_backbone("test_resnet", weights=str(tmp_path / "weights.safetensors"))
    assert same_but_for(network, trained, ("fc.weight", "fc.bias"))


def test_weights_take_the_place_of_the_download(trained, tmp_path, offline):
    save_file(trained.state_dict(), tmp_path / "weights.safetensors")
    create_backbone("test_resnet", pretrained=True, weights=str(tmp_path / "weights.safetensors"))


def test_positional_embeddings_are_resized(tmp_path):
    trained = timm.create_model("test_vit")
    save_file(trained.state_dict(), tmp_path / "weights.safetensors")
    network = create_backbone("test_vit", image_size=64, weights=str(tmp_path / "weights.safetensors"))
    assert trained.pos_embed.shape[1] > network.pos_embed.shape[1]
    assert torch.equal(network.blocks[0].attn.qkv.weight, trained.blocks[0].attn.qkv.weight)


@pytest.mark.parametrize("stem", ["cifar", "half"])
def test_small_stems_take_weights_of_either_stem(stem, tmp_path):
    plain = timm.create_model("resnet18")
    torch.save(
        {"state_dict": {f"module.{key}": value for key, value in plain.state_dict().items()}}, tmp_path / "a.pth"
    )
    network = create_backbone("resnet18", stem=stem, weights=str(tmp_path / "a.pth"))
    assert torch.equal(network.conv1.weight, plain.conv1.weight[..., 2:5, 2:5])
    assert torch.equal(network.layer4[1].conv2.weight, plain.layer4[1].conv2.weight)
    torch.save(network.state_dict(), tmp_path / "b.pth")
    again = create_backbone("resnet18", stem=stem, weights=str(tmp_path / "b.pth"))
    assert same_but_for(again, network)


def test_weights_of_another_network(tmp_path):
    save_file(create_backbone("lenet5").state_dict(), tmp_path / "weights.safetensors")
    fails(
        r"`model\.weights=.*another network.*`model\.backbone=cnn` it has 0%",
        "cnn",
        weights=str(tmp_path / "weights.safetensors"),
    )


def test_weights_that_fit_but_for_some_tensors(trained, tmp_path):
    state = dict(trained.state_dict())
    del state["layer1.0.conv1.weight"]
    state["extra.weight"] = torch.zeros(2)
    state["layer4.0.bn1.weight"] = torch.zeros(2)
    save_file(state, tmp_path / "weights.safetensors")
    message = fails(r"`model\.weights=", "test_resnet", weights=str(tmp_path / "weights.safetensors"))
    assert "missing: layer1.0.conv1.weight" in message
    assert "unexpected: extra.weight" in message
    assert "of another shape: layer4.0.bn1.weight" in message


class Malicious:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of the file was run')",)


def test_of_several_networks_in_a_file_none_is_guessed(trained, tmp_path):
    torch.save({"netG": trained.state_dict(), "netD": trained.state_dict()}, tmp_path / "weights.pth")
    fails(r"several networks: netD, netG", "test_resnet", weights=str(tmp_path / "weights.pth"))


def test_weights_with_code_are_not_run(tmp_path):
    torch.save({"fc.weight": Malicious()}, tmp_path / "weights.pth")
    fails(r"`model\.weights=.*could run\s+code", "test_resnet", weights=str(tmp_path / "weights.pth"))


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth", "weights.pt"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.9])
def test_weights_cut_short(trained, tmp_path, name, kept):
    path = tmp_path / name
    (save_file if name.endswith("safetensors") else torch.save)(trained.state_dict(), path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    fails(r"`model\.weights=.*damaged", "test_resnet", weights=str(path))


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"fc.weight": 1.0}, torch.zeros(3)])
def test_weights_that_are_no_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "weights.pth")
    fails(r"`model\.weights=.*state_dict", "test_resnet", weights=str(tmp_path / "weights.pth"))


def test_no_weights_file(tmp_path):
    fails(r"`model\.weights=.*is not a file", "test_resnet", weights=str(tmp_path / "nothing.pth"))
    fails(r"`model\.weights=.*is not a file", "test_resnet", weights=str(tmp_path))


# published weights


@pytest.mark.parametrize("name", ["lenet5", "cnn"])
def test_networks_without_published_weights(name):
    fails(rf"`model\.backbone={name}` has no pretrained weights: set `model\.pretrained=false`", name, pretrained=True)


@pytest.mark.parametrize("name", ["resnet18", "test_resnet.r160_in1k"])
def test_offline_fails_at_once_with_the_remedy(offline, name):
    start = time.perf_counter()
    message = fails(rf"`model\.pretrained=true`.*`model\.backbone={name}`", name, pretrained=True)
    assert time.perf_counter() - start < 10
    assert "`model.weights=FILE`" in message
    assert "`model.pretrained=false`" in message


def test_offline_hub_name(offline):
    fails(r"`model\.backbone=hf-hub:timm/test_resnet`.*does not answer", "hf-hub:timm/test_resnet")


def test_offline_by_the_hubs_own_switch(offline, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    fails(r"`model\.pretrained=true`", "resnet18", pretrained=True)


def test_offline_alexnet(offline, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    fails(r"`model\.pretrained=true`.*`model\.backbone=alexnet`", "alexnet", pretrained=True)


def cache_on_hub(folder, repo, network) -> None:
    snapshot = folder / f"hub/models--{repo.replace('/', '--')}/snapshots/0123"
    timm.models.save_for_hf(network, snapshot, safe_serialization=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs/main").write_text("0123")


@pytest.mark.parametrize("name", ["test_resnet", "hf-hub:timm/test_resnet.r160_in1k"])
def test_cached_weights_need_no_network(offline, name):
    published = timm.create_model("test_resnet", num_classes=1000)
    cache_on_hub(offline, "timm/test_resnet.r160_in1k", published)
    start = time.perf_counter()
    network = create_backbone(name, pretrained=True)
    assert time.perf_counter() - start < 10
    assert same_but_for(network, published, ("fc.weight", "fc.bias"))


def test_cached_torchvision_weights_need_no_network(offline):
    published = timm.create_model("alexnet", num_classes=1000)
    (offline / "torch/hub/checkpoints").mkdir(parents=True)
    torch.save(published.state_dict(), offline / "torch/hub/checkpoints/alexnet-owt-7be5be79.pth")
    network = create_backbone("alexnet", pretrained=True)
    assert same_but_for(network, published, ("classifier.6.weight", "classifier.6.bias"))


@pytest.mark.parametrize(("status", "answers"), [(200, True), (401, True), (404, True), (407, False), (502, False)])
def test_a_host_behind_a_proxy(offline, monkeypatch, status, answers):
    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args):
            pass

    asked: list[str] = []
    with http.server.HTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
        assert _answers("http://hub.invalid/") == answers
        server.shutdown()
        thread.join()
    assert asked == ["http://hub.invalid/"]


@pytest.mark.parametrize(
    "name", ["test_efficientnet", "test_resnet", "test_vit", "test_convnext", "mobilenetv3_small_050"]
)
def test_the_first_logits_are_small(name):
    """A new head says nothing yet: the first loss is about ln 2, whatever the family."""
    torch.manual_seed(0)
    network = create_backbone(name, image_size=160 if "vit" in name else 64)
    size = 160 if "vit" in name else 64
    logits = network.train()(torch.randn(8, 3, size, size))[:, 0]
    labels = torch.arange(8) % 2
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels.float())
    assert loss.item() == pytest.approx(0.693, abs=0.25)


def test_a_head_from_a_file_is_kept(tmp_path):
    """Also one whose logits spread far: somebody trained it."""
    torch.manual_seed(0)
    weights = timm.create_model("test_efficientnet", num_classes=1).state_dict()
    save_file(weights, tmp_path / "own.safetensors")
    network = create_backbone("test_efficientnet", weights=str(tmp_path / "own.safetensors"))
    assert torch.equal(network.classifier.weight, weights["classifier.weight"])


def test_a_checkpoint_of_a_folders_network_keeps_its_arguments(tmp_path):
    said = {"architecture": "resnet10t", "num_classes": 1000, "model_args": {"stem_width": 16}}
    (tmp_path / "config.json").write_text(json.dumps({**said, "pretrained_cfg": {"input_size": [3, 64, 64]}}))
    classifier = Classifier(f"local-dir:{tmp_path}")
    again = Classifier(**classifier.hparams)
    assert classifier.hparams.backbone == "resnet10t"
    again.load_state_dict(classifier.state_dict())
