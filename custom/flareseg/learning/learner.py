"""The learner: trains and scores at one place, and knows nothing of federation."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from flareseg.config.choices import Augment
from flareseg.config.task import Task
from flareseg.data.cache import Volume
from flareseg.data.case import SplitName
from flareseg.data.sampling import PatchSampler
from flareseg.data.site_data import LearningData
from flareseg.errors import ErrorCode, FlaresegError
from flareseg.fedgs import CumulativeUpdate
from flareseg.learning.gradient_scale import GradientScale
from flareseg.learning.losses.annotated import AnnotatedLoss, AnnotatedLossOfVolume
from flareseg.learning.metrics import CaseScores, Scores, dice_by_size, dice_per_label
from flareseg.learning.optimisation import RoundOptimizer, is_memory, steps_of_round
from flareseg.learning.predict import Stopped, predict_parts
from flareseg.learning.seeding import generator
from flareseg.networks.state import State, build_network, frozen_names, local_names
from flareseg.privacy.dp_sgd import PoissonSampler, PrivateGradients
from flareseg.privacy.scopes import DifferentialPrivacy

logger = logging.getLogger(__name__)

__all__ = ["Learner", "Stopped", "TrainingResult"]


@dataclass(frozen=True)
class TrainingResult:
    """What one round of local training gives.

    Attributes:
        update: change Δ (new minus old) of everything that is shared: of each parameter the scaled steps added up, -G
            of FedGS; of each buffer (batch-norm statistics) the plain change.
        steps: optimiser steps done.
        loss: mean loss over the steps; None under differential privacy, which does not cover it.
        mean_scale: mean η over the steps; 1 without FedGS.
        seconds: wall time.
        waiting_seconds: of these, waiting for training samples.
    """

    update: State
    steps: int
    loss: float | None
    mean_scale: float
    seconds: float
    waiting_seconds: float


class Learner:
    """Trains and validates a task's network on a site's data.

    Args:
        task: what to learn and how.
        data: the site's prepared volumes.
        name: the site's name; part of every seed.
        privacy: train with differential privacy, for which nothing may be foreseen: no draw follows from a seed then.

    Example:
        One round of two steps on a phantom, and the scores of the new weights.

        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from flareseg.config.site import load_site
        >>> from flareseg.data.phantom import PhantomSite, write_phantom_site
        >>> from flareseg.data.site_data import SiteData
        >>> from flareseg.networks import initial_state
        >>> task = Task(
        ...     name="liver",
        ...     labels=["liver"],
        ...     modalities={"CT": {"window": [-160, 240]}},
        ...     spacing=[6, 6, None],
        ...     patch=[32, 32],
        ...     network={"channels": [8, 16, 32]},
        ...     training={"steps": 2},
        ... )
        >>> with TemporaryDirectory() as folder:
        ...     made = write_phantom_site(Path(folder), PhantomSite("ct", "CT", 1, 1, 0), seed=0)
        ...     learner = Learner(task, SiteData(task, load_site(made / "site.yaml"), Path(folder, "cache")), "ct")
        ...     weights = initial_state(task)
        ...     result = learner.train(weights, round_number=0)
        ...     new = {name: value + result.update[name] for name, value in weights.items()}
        ...     scores = learner.validate(new, "validation")
        >>> result.steps, scores.dice["liver"].volumes
        (2, 1)
    """

    def __init__(self, task: Task, data: LearningData, name: str, privacy: DifferentialPrivacy | None = None) -> None:
        self.task = task
        self.privacy = privacy
        self.data = data
        self.name = name
        wanted = data.site.device
        cuda = torch.cuda.is_available()
        if wanted == "cuda" and not cuda:
            raise FlaresegError(
                "site.yaml: device is cuda, but PyTorch finds no CUDA device.",
                "Mend the driver or set device: auto.",
                code=ErrorCode.BAD_SETTINGS,
            )
        self.device = torch.device("cuda" if cuda and wanted != "cpu" else "cpu")
        if self.device.type == "cpu":
            torch.set_num_threads(data.site.threads)
        self.network = build_network(task).to(self.device)
        # What never leaves this site: own values, and what its optimiser remembers; empty until it has trained.
        self.local: State = {}
        self._local_names = local_names(self.network, task)
        frozen = frozen_names(self.network, task)
        self._unsent = self._local_names | frozen
        for parameter_name, parameter in self.network.named_parameters():
            parameter.requires_grad_(parameter_name not in frozen)
        self._validation_loss: float | None = None  # of the weights scored last, which plateau looks at
        self.loss = AnnotatedLoss(task.loss, data.annotated)
        self.scale = GradientScale(task)
        # bfloat16 keeps float32's range: the small gradients of small lesions do not vanish as in float16.
        half = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        self._autocast = torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=half)

    def train(
        self, state: Mapping[str, torch.Tensor], round_number: int, should_stop: Callable[[], bool] = lambda: False
    ) -> TrainingResult:
        """Train for the task's number of steps, from given weights.

        The result depends on the weights, the task, the data, the site's name, the round, :attr:`local` and, with the
        schedule plateau, on the validation loss of these weights where they were just scored; on nothing else that
        happened before: a rerun on the CPU of one machine is the same to the last bit.

        Args:
            state: weights to start from.
            round_number: round, from 0; part of the seed and of the learning-rate schedule.
            should_stop: asked before every batch.

        Raises:
            Stopped: ``should_stop`` said so.
            FlaresegError: the loss is no longer finite.
        """
        started = time.perf_counter()
        settings = self.task.training
        memory = {name: value for name, value in self.local.items() if is_memory(name)}
        state = self._own_values(state)
        self.network.load_state_dict(state)
        self.network.train()
        torch.manual_seed(int(self._generator(round_number, "network").integers(2**31)))
        sampling = self._generator(round_number, "sampling")
        augmentations = self._augmentations(round_number)
        trained = {name: value for name, value in self.network.named_parameters() if value.requires_grad}
        of_round = RoundOptimizer(self.task, trained, memory, round_number, self._validation_loss)
        self._validation_loss = None
        optimizer = of_round.optimizer
        patches = PatchSampler(self.data.volumes("training"), self.task.patch, settings.foreground, self.data.annotated)
        sampler: PatchSampler | PoissonSampler = patches
        private: PrivateGradients | None = None
        if self.privacy is not None:
            sampler = PoissonSampler(patches, list(self.data.patients("training").values()))
            expected = sampler.expected(settings.batch_size)
            private = PrivateGradients(self.network, optimizer, self.loss, self.privacy, expected)
        cumulative = CumulativeUpdate(optimizer)
        losses, scales, waiting = [], [], 0.0
        for _ in range(steps_of_round(self.task, self.data)):
            if should_stop():
                raise Stopped
            asked = time.perf_counter()
            batch = sampler.draw(settings.batch_size, sampling)
            waiting += time.perf_counter() - asked
            x = torch.from_numpy(batch.images).to(self.device)
            target = torch.from_numpy(batch.labels).to(self.device)
            for augment in augmentations if len(x) else ():
                x, target = augment(x, target, batch.volumes)
            optimizer.zero_grad(set_to_none=True)
            if private is not None:
                with self._autocast:
                    private.backward(x, target)
            else:
                with self._autocast:
                    logits = self.network(x)
                loss = self.loss(logits, target)
                loss.backward()
                losses.append(loss.detach())
            of_round.shape_gradients()
            scale = self.scale(target.cpu().numpy(), batch.spacing, self.data.annotated)
            cumulative.step(scale=scale)
            scales.append(scale)
        mean_loss = float(torch.stack(losses).mean()) if losses else None
        if mean_loss is not None and not math.isfinite(mean_loss):
            raise FlaresegError(
                f"The training loss of round {round_number} is {mean_loss}.",
                "Lower optimizer.lr, or look at the intensities with flareseg report --site.",
                code=ErrorCode.DIVERGED,
            )
        now = {name: value.detach().cpu() for name, value in self.network.state_dict().items()}
        self.local = {name: now[name].clone() for name in self._local_names} | of_round.memory()
        moved = cumulative.update()
        torch._foreach_neg_(moved)  # G is to be subtracted; what travels is added
        changes = {name: value.cpu() for name, value in zip(trained, moved, strict=True)}
        changes |= {name: value - state[name] for name, value in now.items() if name not in changes}
        return TrainingResult(
            update={name: change for name, change in changes.items() if name not in self._unsent},
            steps=cumulative.steps,
            loss=mean_loss,
            mean_scale=float(np.mean(scales)),
            seconds=time.perf_counter() - started,
            waiting_seconds=waiting,
        )

    def validate(
        self,
        state: Mapping[str, torch.Tensor],
        split: SplitName = "validation",
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Scores:
        """Score weights on one split: 3D Dice for each volume and label.

        Raises:
            Stopped: ``should_stop`` said so.
        """
        scores = Scores.of(self.score_cases(state, split, should_stop), self.annotated_labels)
        if split == "validation":
            self._validation_loss = scores.loss
        return scores

    @torch.no_grad()
    def score_cases(
        self, state: Mapping[str, torch.Tensor], split: SplitName, should_stop: Callable[[], bool] = lambda: False
    ) -> list[CaseScores]:
        """Score weights on each volume of a split, in the order of the data.

        Raises:
            Stopped: ``should_stop`` said so.
        """
        self.network.load_state_dict(self._own_values(state))
        self.network.eval()
        annotated, lesion = self.data.annotated, self.task.lesion
        cases = []
        for volume in self.data.volumes(split):
            prediction, loss = self._segment(volume, should_stop)
            truth = torch.from_numpy(np.array(volume.label[annotated], dtype=bool, order="C"))
            dice = dice_per_label(prediction, truth).tolist()
            small = large = math.nan
            if lesion and self.task.labels.index(lesion.label) in annotated:
                index = self.task.labels.index(lesion.label)
                predicted = prediction[annotated.index(index)].numpy()
                small, large = dice_by_size(predicted, volume.label[index], volume.spacing, lesion.small)
            cases.append(CaseScores(dict(zip(self.annotated_labels, dice, strict=True)), small, large, loss))
        return cases

    @property
    def annotated_labels(self) -> list[str]:
        """Names of the labels that are annotated here."""
        return [self.task.labels[index] for index in self.data.annotated]

    def _segment(self, volume: Volume, should_stop: Callable[[], bool]) -> tuple[torch.Tensor, float]:
        """Predict one volume with the weights loaded last.

        Logits of a whole volume are not kept where parts of it do: memory is what limits the size of an image.

        Returns:
            The annotated labels, bool (A, X, Y, Z) on the CPU, and the loss.
        """
        annotated = self.data.annotated
        prediction = torch.zeros((len(annotated), *volume.label.shape[1:]), dtype=torch.bool)
        loss = AnnotatedLossOfVolume(self.loss)
        with self._autocast:
            for part, logits in predict_parts(self.network, volume.image, self.task, should_stop):
                loss.add(logits, torch.from_numpy(np.array(volume.label[..., part], order="C")))
                prediction[..., part] = logits[annotated] > 0
        return prediction, loss.value()

    def _augmentations(self, round_number: int) -> list[Augment]:
        """Those of the task, each with a stream of its own that does not depend on the others."""
        built = []
        names: Counter[str] = Counter()
        for settings in self.task.augmentation:
            names[settings.name] += 1
            purpose = settings.name if names[settings.name] == 1 else f"{settings.name} {names[settings.name]}"
            state = np.random.RandomState(np.random.MT19937())
            if self.privacy is None:
                state = np.random.RandomState(int(self._generator(round_number, purpose).integers(2**32)))
            built.append(settings.build(state))
        return built

    def _generator(self, round_number: int, purpose: str) -> np.random.Generator:
        """A stream that a rerun finds again; under differential privacy one that nobody does."""
        if self.privacy is not None:
            return np.random.default_rng()
        return generator(self.task.training.seed, self.name, round_number, purpose)

    def _own_values(self, state: Mapping[str, torch.Tensor]) -> State:
        """Weights with this site's own values in their places."""
        return {**state, **{name: value for name, value in self.local.items() if not is_memory(name)}}
