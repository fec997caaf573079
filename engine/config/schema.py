"""The schema of a run: one model per section, every field with its range, default and meaning.

The settings form, ``mim4dd presets NAME`` and the documentation are made from these descriptions.
Unknown keys are errors. Names follow the field: N = ``objective.student_steps``, M =
``objective.expert_epochs``, the paper's lambda = ``information.weight``, its layer scalar beta =
``information.layer_growth``; the student's step size (often called beta or synthetic learning rate) is
``step_size`` everywhere.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from engine.config.consistency import problems
from engine.config.datasets import CLASSES

__all__ = [
    "AUGMENTATIONS",
    "CLASSES",
    "Augmentation",
    "Config",
    "Data",
    "Evaluation",
    "Execution",
    "Experts",
    "Information",
    "Network",
    "Objective",
    "ProtocolName",
    "Section",
    "Synthetic",
]

PositiveInt = Annotated[int, Field(ge=1, le=10**9)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Rate = Annotated[float, Field(gt=0, le=1e12)]
Fraction = Annotated[float, Field(ge=0, lt=1)]

INCONSISTENT = "inconsistent"
"""Type of the validation error of settings that do not go together; its context holds the problems."""

AUGMENTATIONS = ("color", "crop", "cutout", "flip", "scale", "rotate")
"""Differentiable Siamese augmentation's strategies (DSA, Zhao & Bilen 2021)."""

ProtocolName = Literal["mtt-1000", "paper-300", "quick-100", "bptt-300", "dream-1000"]
"""Those of ``engine.evaluation.protocols``."""


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, numbers are never taken from strings."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False)


class Data(Section):
    """The real set and how its pixels are prepared."""

    name: Literal["digits", "mnist", "svhn", "cifar10", "cifar100"] = Field(
        "digits", description="The data set to distill."
    )
    train_limit: Count = Field(0, description="Use only this many training images (class-balanced draw); 0 uses all.")
    validation: Fraction = Field(
        0.0,
        description="Share of the training images held out to choose the best iterate; seen by nothing else. "
        "0 chooses on the test set, as most published numbers do, and the result says so.",
    )
    test_limit: Count = Field(0, description="Evaluate on only this many test images; 0 uses all.")
    zca: bool = Field(False, description="ZCA whitening, fitted on the training images in use.")
    zca_epsilon: float = Field(0.1, gt=0, le=10, description="Added to the covariance's eigenvalues before whitening.")


class Augmentation(Section):
    """Differentiable Siamese augmentation; one of the strategies is drawn for each batch."""

    strategy: str = Field(
        "color_crop_cutout_flip_scale_rotate",
        description="Strategies that are drawn from, joined by underscores, or none.",
        json_schema_extra={"allowed": f"none, or any of {', '.join(AUGMENTATIONS)} joined by _, each once"},
    )
    flip: float = Field(0.5, ge=0, le=1, description="Probability of a horizontal flip.")
    scale: float = Field(1.2, ge=1, le=4, description="Largest scaling factor (and its inverse).")
    rotate: float = Field(15.0, ge=0, le=180, description="Largest rotation in degrees.")
    crop: float = Field(0.125, ge=0, le=0.5, description="Largest shift as a share of the side.")
    cutout: float = Field(0.5, ge=0, le=1, description="Side of the square cut out, as a share of the side.")
    brightness: float = Field(1.0, ge=0, le=4, description="Range of the brightness shift.")
    saturation: float = Field(2.0, ge=0, le=4, description="Range of the saturation factor.")
    contrast: float = Field(0.5, ge=0, le=4, description="Range of the contrast factor.")

    @field_validator("strategy")
    @classmethod
    def _known_strategies(cls, strategy: str) -> str:
        names = [] if strategy == "none" else strategy.split("_")
        if not set(names) <= set(AUGMENTATIONS) or len(set(names)) != len(names):
            raise ValueError("unknown or repeated strategies")
        return strategy


class Network(Section):
    """The network of experts, students and evaluation: ConvNet-D (Gidaris & Komodakis 2018, as in DC)."""

    name: Literal["convnet"] = Field("convnet", description="Architecture.")
    depth: int = Field(3, ge=1, le=6, description="Blocks of convolution, normalisation, ReLU and pooling.")
    width: int = Field(128, ge=1, le=2048, description="Channels of every block.")
    norm: Literal["instance", "group", "layer", "none"] = Field(
        "instance", description="Normalisation. Group uses 4 groups; layer is one group."
    )
    pooling: Literal["avg", "max", "none"] = Field("avg", description="Pooling after each block, 2x2.")


class Synthetic(Section):
    """The synthetic set."""

    images_per_class: int = Field(1, ge=1, le=5000, description="Images per class (IPC), as stored.")
    init: Literal["real", "noise"] = Field(
        "real", description="Start from random real training images or from Gaussian noise."
    )
    formation: int = Field(
        1,
        ge=1,
        le=16,
        description="Side of the grid of smaller images that each stored image holds; networks are trained on all of "
        "them, enlarged (IDC). The budget stays that of images_per_class stored images. 1 stores images as they are.",
    )
    labels: Literal["hard", "free", "softmax"] = Field(
        "hard",
        description="hard: one class an image. Learned with the images: free, numbers from one-hot on (RaT-BPTT), or "
        "softmax, logits from an expert's on (DATM). trajectory and bptt only.",
    )


class Experts(Section):
    """Networks trained on the real set; their trajectories are matched. Cached and shared by runs."""

    count: PositiveInt = Field(100, description="Number of experts.")
    epochs: PositiveInt = Field(50, description="Epochs each expert is trained.")
    learning_rate: Rate = Field(0.01, description="SGD learning rate.")
    momentum: float = Field(0.0, ge=0, lt=1, description="SGD momentum.")
    weight_decay: float = Field(0.0, ge=0, le=1e12, description="SGD weight decay.")
    batch_size: PositiveInt = Field(256, description="Training batch.")
    augment: bool = Field(True, description="Apply the augmentation while training experts.")
    seed: Seed = Field(0, description="Seed of the experts, apart from the run's, so that seeds share one buffer.")


class Objective(Section):
    """The base distillation objective."""

    name: Literal["trajectory", "tesla", "bptt", "dream", "distribution"] = Field(
        "trajectory",
        description="Base objective: trajectory (MTT, by the exact gradient), tesla (the same loss by TESLA's "
        "approximate gradient), bptt (back-propagation through a training from scratch), dream (gradient matching "
        "with representative real images), distribution (DM: the classes' mean features).",
    )
    iterations: PositiveInt = Field(5000, description="Distillation iterations.")
    student_steps: PositiveInt = Field(
        50, description="N: steps the student takes on synthetic images. trajectory, tesla and bptt only."
    )
    expert_epochs: PositiveInt = Field(
        2, description="M: epochs of the expert the student has to match. trajectory and tesla only."
    )
    max_start_epoch: PositiveInt = Field(
        2, description="Start epochs are drawn from 0..this-1. trajectory and tesla only."
    )
    batch_size: Count = Field(
        0, description="Synthetic images of one student step; 0 takes all. trajectory, tesla and bptt only."
    )
    pixel_rate: Rate = Field(100.0, description="Learning rate of the pixels (SGD).")
    pixel_momentum: float = Field(0.5, ge=0, lt=1, description="Momentum of the pixels.")
    label_rate: float = Field(
        1.0, ge=0, le=1e12, description="Learning rate of labels that are learned (SGD). trajectory and bptt only."
    )
    label_momentum: float = Field(
        0.9, ge=0, lt=1, description="Momentum of labels that are learned. trajectory and bptt only."
    )
    step_size: Rate = Field(
        0.01,
        description="The set's own step size, at first where it is learned: of the student, if there is one, and of "
        "networks that mtt-1000 and quick-100 train on the set (on random real images at 0.01).",
    )
    step_size_rate: float = Field(
        1e-7,
        ge=0,
        le=1e12,
        description="Learning rate of the step size; 0 keeps it fixed. trajectory, tesla and bptt only.",
    )
    step_size_momentum: float = Field(
        0.5, ge=0, lt=1, description="Momentum of the step size. trajectory, tesla and bptt only."
    )
    student_momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of the student's steps. bptt only.")
    window: Count = Field(
        0,
        description="Differentiate through the last this many steps of a training whose length is drawn anew each "
        "iteration, from this many to student_steps (RaT-BPTT); 0 always through all student_steps. bptt only.",
    )
    real_batch: PositiveInt = Field(
        64,
        description="Real images of every class in an iteration's loss, where a class has as many. "
        "bptt, dream and distribution only.",
    )
    selection: Literal["representative", "random"] = Field(
        "representative",
        description="Real images of a class: those nearest to the centres of its clusters (DREAM), or random ones "
        "(IDC). dream only.",
    )
    select_every: PositiveInt = Field(
        10, description="Choose representative images anew every this many iterations of a network's life. dream only."
    )
    distance: Literal["mse", "l1"] = Field(
        "mse", description="Between gradients: sum of squares or of absolute values. dream only."
    )
    network_life: PositiveInt = Field(
        100, description="Iterations a network is matched for before a fresh one takes its place. dream only."
    )
    network_images: Count = Field(
        2000, description="Real images the network is trained on between two iterations; 0 leaves it. dream only."
    )
    cutmix: float = Field(
        0.5, ge=0, le=1, description="Probability of CutMix on a batch the network is trained on. dream only."
    )
    pixel_clip: float = Field(
        0.0, ge=0, le=1e12, description="Largest norm of an iteration's gradient on the pixels; 0 leaves it as it is."
    )


class Information(Section):
    """The contrastive mutual-information term of MIM4DD, an add-on to any objective."""

    weight: float = Field(0.8, ge=0, le=1e12, description="lambda of Eq. 2.17; 0 switches the term off.")
    scaling: Literal["raw", "ratio"] = Field(
        "ratio",
        description="raw: weight multiplies the NCE gradient. ratio: the NCE gradient is scaled so that its "
        "norm on the pixels is weight times the objective's.",
    )
    loss: Literal["nce", "infonce"] = Field(
        "infonce", description="nce: binary contrastive loss (Eq. 2.16); infonce: its softmax form."
    )
    bias: Literal["fixed", "learned", "batch"] = Field(
        "learned",
        description="Constant of the binary critic: log(N/M), learned, or estimated on the batch. nce only.",
    )
    real_network: Literal["target", "start", "last", "fresh"] = Field(
        "target",
        description="Network of the real images: target, the expert at the matched epoch (of objectives that match "
        "no expert, the network that they train or compare the sets in); start, where that began; last, an expert at "
        "its last epoch; or a fresh random one.",
    )
    synthetic_network: Literal["student", "attached", "same"] = Field(
        "student",
        description="Network of the synthetic images: the student's end point as a constant, attached to the "
        "trajectory's graph, or the real side's network.",
    )
    layers: Literal["blocks", "blocks+logits", "last"] = Field(
        "blocks", description="Feature maps used: all block outputs, also the logits, or the last block only."
    )
    pooling: Literal["grid", "average", "flatten"] = Field(
        "grid", description="Before the embedding: a grid of means, one mean a channel, or everything."
    )
    grid: int = Field(4, ge=1, le=16, description="Side of the grid of means.")
    embedding_layers: Literal[0, 1, 2] = Field(1, description="Fully connected layers of the embedding phi.")
    embedding_dim: PositiveInt = Field(128, description="Size of the contrastive space.")
    embedding_shared: bool = Field(True, description="One embedding for both sides (one a layer).")
    temperature: float = Field(0.1, gt=0, le=10, description="tau of Eq. 2.15.")
    layer_growth: float = Field(
        2.0, ge=1, le=100, description="beta of Eq. 2.17: each layer weighs this times the one before."
    )
    real_batch: PositiveInt = Field(256, description="Real images an iteration, class-balanced.")
    synthetic_batch: PositiveInt = Field(256, description="Most synthetic images an iteration, class-balanced.")
    augment: Literal["none", "shared", "independent"] = Field(
        "none", description="Augmentation of the two views: none, one draw for both sides, or two draws."
    )
    negatives: Literal["different", "all"] = Field(
        "different", description="Negative pairs: of different labels, or all pairs (product of marginals)."
    )
    critic_optimizer: Literal["adam", "sgd"] = Field("adam", description="Optimiser of the critic.")
    critic_rate: Rate = Field(1e-3, description="Learning rate of the critic.")
    critic_steps: int = Field(1, ge=0, le=100, description="Critic updates an iteration.")
    warmup: Count = Field(50, description="Critic updates before the first iteration.")
    readout: PositiveInt = Field(500, description="Real images set apart to read the bound on, class-balanced.")
    readout_every: PositiveInt = Field(10, description="Read the bound every this many iterations.")

    @field_validator("embedding_layers", mode="before")
    @classmethod
    def _an_integer(cls, value: object) -> object:
        """A choice is compared by equality, and true and 1.0 equal 1."""
        if type(value) is not int:
            raise ValueError("not an integer")
        return value


class Evaluation(Section):
    """How a synthetic set is judged: networks trained on it from scratch, measured on real images."""

    protocol: ProtocolName = Field("mtt-1000", description="Protocol of the final numbers.")
    networks: int = Field(5, ge=1, le=100, description="Networks of the final evaluation.")
    live_protocol: ProtocolName = Field(
        "quick-100", description="Protocol of the live curve and of choosing the best iterate."
    )
    live_networks: int = Field(2, ge=1, le=100, description="Networks of a live evaluation.")
    every: Count = Field(100, description="Live evaluation every this many iterations; 0 never.")
    share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Largest share of the run's counted arithmetic that live evaluations may take: where every would "
        "exceed it, they are made less often.",
    )
    random_draws: int = Field(
        3, ge=0, le=50, description="Draws of random real images for the baseline; 0 leaves it out."
    )
    random_networks: int = Field(1, ge=1, le=100, description="Networks trained on each draw.")


class Execution(Section):
    """Where and how the run computes. Resolved once before the first iteration and recorded."""

    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:[0-9]{1,4})?|mps)$",
        description="Where the tensors are: auto takes the emptiest CUDA device, else the CPU.",
        json_schema_extra={"allowed": "auto, cpu, cuda, cuda:N or mps"},
    )
    precision: Literal["float32", "mixed"] = Field("float32", description="float32 is exact.")
    compile: Literal["auto", "on", "off"] = Field("auto", description="Compile the step and its adjoint.")
    threads: int = Field(
        0,
        ge=0,
        le=1024,
        description="CPU threads; 0 takes all cores, one for small networks, whatever OMP_NUM_THREADS says.",
    )
    keep_activations: int = Field(
        3072,
        ge=0,
        le=2**20,
        description="MiB of activations of compiled student steps to keep for the reverse sweep, which computes the "
        "rest again: with all kept, an iteration takes up to a third less time. trajectory, tesla and bptt only.",
    )
    checkpoint_every: PositiveInt = Field(100, description="Checkpoint at least every this many iterations.")
    checkpoint_seconds: float = Field(300.0, gt=0, le=1e9, description="... and at least this often, in seconds.")
    snapshot_every: PositiveInt = Field(25, description="Picture of the synthetic set every this many iterations.")
    on_hangup: Literal["continue", "stop"] = Field(
        "continue",
        description="When the terminal goes away: let the run go on, or stop it with a checkpoint. Of a queue each "
        "run by its own setting: one that is to stop is not begun after that, and waits.",
    )
    recoveries: int = Field(
        3,
        ge=0,
        le=100,
        description="How often a run whose numbers are no longer finite may go back to its last good checkpoint "
        "with smaller rates, before it ends as failed.",
    )
    recovery_factor: float = Field(
        0.5, gt=0, lt=1, description="What the pixel rate and the step size's rate are multiplied by at each recovery."
    )


class Config(Section):
    """A whole run. Immutable; validated across sections."""

    summary: str = Field(
        "",
        max_length=500,
        description="What this preset does, in a sentence or two.",
        json_schema_extra={"allowed": "one line of text that can be printed, at most 500 characters"},
    )
    seed: Seed = Field(
        0, description="Seed of every random draw but the experts' and those of the baseline of random real images."
    )
    data: Data = Data()
    augmentation: Augmentation = Augmentation()
    network: Network = Network()
    synthetic: Synthetic = Synthetic()
    experts: Experts = Experts()
    objective: Objective = Objective()
    information: Information = Information()
    evaluation: Evaluation = Evaluation()
    execution: Execution = Execution()

    @field_validator("summary")
    @classmethod
    def _one_line(cls, summary: str) -> str:
        """Lists show it: escape sequences and halves of characters stay out of the terminal and of TOML."""
        if summary and not summary.isprintable():
            raise ValueError("cannot be printed in one line")
        return summary

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if found := tuple(problems(self)):
            text = "; ".join(problem.message for problem in found)
            raise PydanticCustomError(INCONSISTENT, "{text}", {"text": text, "problems": found})
        return self
