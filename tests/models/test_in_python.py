"""Classes used without a command: what a config must not give them is refused there too."""

import lightning as L
import numpy as np
import pytest
import torch

from fakereal.data.synthetic import Synthetic
from fakereal.data.transforms.augment import Augment
from fakereal.evaluation.calibration import Calibration
from fakereal.evaluation.evaluation import Evaluation
from fakereal.models.checkpoint import load_classifier
from fakereal.models.classifier import Classifier
from fakereal.runtime.errors import UserError

OPTIONS = dict(accelerator="cpu", max_epochs=1, logger=False, enable_progress_bar=False, enable_model_summary=False)


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: Classifier("lenet5", tta="flop"), "Classifier: `tta` must be 'none' or 'flip', got 'flop'"),
        (lambda: Classifier("lenet5", freeze="head", pos_weight="equal"), "`freeze` must be"),
        (lambda: Synthetic(batch_size=1), "`batch_size` must be greater than or equal to 2"),
        (lambda: Synthetic(val_fraction=-0.1), "`val_fraction` must be greater than 0"),
        (lambda: Synthetic(augment="flip"), "`augment` must be an instance of Augment"),
        (lambda: Augment(horizontal_flip=50), "Augment: `horizontal_flip` must be less than or equal to 1"),
        (lambda: Calibration(threshold="fprr"), "`threshold` must be 'accuracy', 'youden' or 'fpr'"),
    ],
)
def test_wrong_values_are_refused_by_the_constructor(make, said):
    with pytest.raises(UserError) as raised:
        make()
    assert said in str(raised.value)


class Mine(Classifier):
    def __init__(self, backbone, *, gamma=2.0, **common):
        super().__init__(backbone, **common)


def test_a_classifier_of_ones_own_is_loaded_by_its_class_alone(tmp_path):
    trainer = L.Trainer(default_root_dir=tmp_path, **OPTIONS)
    trainer.fit(Mine("lenet5", gamma=3.0, optimizer=torch.optim.AdamW), datamodule=Synthetic(count=300))
    trainer.save_checkpoint(tmp_path / "mine.ckpt")
    assert Mine.load_from_checkpoint(tmp_path / "mine.ckpt", weights_only=True).hparams.gamma == 3.0
    with pytest.raises(UserError, match="Classifier has no gamma"):
        load_classifier(tmp_path / "mine.ckpt")


def test_loaders_in_the_place_of_a_datamodule_are_refused_before_an_epoch(tmp_path):
    data = Synthetic(count=300)
    data.setup("fit")
    trainer = L.Trainer(default_root_dir=tmp_path, **OPTIONS)
    with pytest.raises(UserError, match="datamodule="):
        trainer.fit(Classifier("lenet5", optimizer=torch.optim.AdamW), data.train_dataloader(), data.val_dataloader())
    assert not trainer.global_step


def test_figures_of_the_data_set_must_be_known_before_an_answer():
    classifier, images = Classifier("lenet5", normalization="dataset"), torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    with pytest.raises(UserError, match="call normalize_by"):
        classifier(images)
    classifier.normalize_by({"mean": [0.5] * 3, "std": [0.2] * 3})
    assert classifier(images).shape == (2,)


def test_figures_are_of_probabilities_and_labels_alone():
    labels, probabilities = [0, 1, 1, 0], [0.1, 0.7, 0.4, 0.6]
    assert Evaluation(labels, torch.tensor(probabilities), 0.5).accuracy()[0] == 0.5
    for wrong, said in (
        ((labels, [-2.0, 3.0, 1.0, 0.5]), "of logits, give sigmoid"),
        ((labels, [0.1, np.nan, 0.4, 0.6]), "must lie in"),
        (([0, 1, 2, 0], probabilities), "labels must be 0"),
        ((labels, np.array(probabilities)[:, None]), "must be \\(N,\\)"),
        (([], []), "N > 0"),
    ):
        with pytest.raises(ValueError, match=said):
            Evaluation(*wrong, 0.5)
    with pytest.raises(ValueError, match="finite"):
        Calibration().fit(np.array([0.1, np.nan]), np.array([0, 1]))
