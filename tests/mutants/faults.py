"""The faults: what is replaced by what, and the test that must notice."""

from __future__ import annotations

from dataclasses import dataclass

GRADIENT = "tests/gradient/test_meta_gradient.py"
CONTRAST = "tests/information/test_contrast.py"


@dataclass(frozen=True)
class Fault:
    """One planted fault. ``old`` must stand exactly once in ``file``."""

    name: str
    file: str
    old: str
    new: str
    test: str


FAULTS = (
    Fault(
        "adjoint: wrong sign of the pixels' derivative",
        "engine/gradient.py",
        "return -step_size * by_images, -slope.detach()",
        "return step_size * by_images, -slope.detach()",
        f"{GRADIENT}::test_plain_steps",
    ),
    Fault(
        "adjoint: TESLA's approximation, the curvature left out",
        "engine/gradient.py",
        "-slope.detach(), cotangent - step_size * by_parameters",
        "-slope.detach(), cotangent",
        f"{GRADIENT}::test_plain_steps",
    ),
    Fault(
        "adjoint: wrong sign of the step size's derivative",
        "engine/gradient.py",
        "step_gradient += by_step",
        "step_gradient -= by_step",
        f"{GRADIENT}::test_plain_steps",
    ),
    Fault(
        "adjoint: steps replayed from the wrong end",
        "engine/gradient.py",
        "for i in reversed(range(len(self.inputs))):",
        "for i in range(len(self.inputs)):",
        f"{GRADIENT}::test_augmented_and_minibatched_steps",
    ),
    Fault(
        "adjoint: augmentation not replayed",
        "engine/gradient.py",
        "augmented, push = _replay(chosen, given.augmentation)",
        "augmented, push = _replay(chosen, None)",
        f"{GRADIENT}::test_augmented_and_minibatched_steps",
    ),
    Fault(
        "adjoint: minibatch gradients overwrite instead of adding up",
        "engine/gradient.py",
        "pixel_gradient.index_add_(0, given.batch, push(by_images))",
        "pixel_gradient.index_copy_(0, given.batch, push(by_images))",
        f"{GRADIENT}::test_augmented_and_minibatched_steps",
    ),
    Fault(
        "matching loss: derivative without its factor",
        "engine/gradient.py",
        "2 * difference / scale",
        "difference / scale",
        f"{GRADIENT}::test_matching_loss_and_its_derivative",
    ),
    Fault(
        "compiled form: step size forgotten in the reverse sweep",
        "engine/execution.py",
        "-value, cotangent - step_size * by_parameters",
        "-value, cotangent - by_parameters",
        f"{GRADIENT}::test_functional_form_is_the_same_before_compilation",
    ),
    Fault(
        "contrast: positives and negatives swapped",
        "engine/information/contrast.py",
        "positive = -(weights.positive * F.logsigmoid(logits)).sum()",
        "positive = -(weights.negative * F.logsigmoid(logits)).sum()",
        f"{CONTRAST}::test_nce_against_a_literal_loop",
    ),
    Fault(
        "contrast: negatives without their weight N",
        "engine/information/contrast.py",
        "return positive - weights.ratio * (against",
        "return positive - (against",
        f"{CONTRAST}::test_nce_against_a_literal_loop",
    ),
    Fault(
        "contrast: a positive competes with the other positives",
        "engine/information/contrast.py",
        'others = competitors.masked_fill(weights.positive > 0, float("-inf"))',
        "others = competitors",
        f"{CONTRAST}::test_infonce_against_a_literal_loop",
    ),
    Fault(
        "bound: log N + E log h, which is no bound",
        "engine/information/contrast.py",
        "return expected + 1 - (weights.product * log_ratio.exp()).sum()",
        "return expected",
        f"{CONTRAST}::test_no_critic_reads_more_than_there_is",
    ),
    Fault(
        "bound: density ratio of the binary critic off by a constant",
        "engine/information/contrast.py",
        "return F.logsigmoid(logits) + torch.log1p(weights.ratio)",
        "return F.logsigmoid(logits) + weights.ratio.log()",
        f"{CONTRAST}::test_learned_binary_critic_approaches_the_mutual_information",
    ),
    Fault(
        "pairs: unbalanced batches not weighted to the label prior",
        "engine/information/contrast.py",
        "(members / members.sum(0) / len(labels) for members in by_label)",
        "(members / members.sum() for members in by_label)",
        f"{CONTRAST}::test_pair_weights",
    ),
    Fault(
        "whitening: root missing",
        "engine/data/transform.py",
        "roots = (values.clamp_min(0) + epsilon).sqrt()",
        "roots = values.clamp_min(0) + epsilon",
        "tests/data/test_transform.py::test_whitening_is_numpys",
    ),
    Fault(
        "data: readout images left in the pools",
        "engine/data/prepare.py",
        "((train_labels == label) & ~apart)",
        "(train_labels == label)",
        "tests/data/test_prepare.py::test_pools_hold_the_training_images_but_the_readout",
    ),
    Fault(
        "augmentation: rotation the wrong way",
        "engine/data/augment.py",
        "cosine * x - sine * y, sine * x + cosine * y",
        "cosine * x + sine * y, cosine * y - sine * x",
        "tests/data/test_augment.py::test_each_strategy_is_the_literal_one",
    ),
    Fault(
        "journal: superseded events kept",
        "engine/runs/journal.py",
        "while kept and kept[-1].sequence > record.event.after_sequence:",
        "while False:",
        "tests/runs/test_journal.py::test_records_after_the_checkpoint_are_superseded",
    ),
    Fault(
        "history: records applied twice",
        "engine/runs/history.py",
        "if item.sequence <= self.sequence:",
        "if False:",
        "tests/runs/test_history.py::test_records_are_applied_once",
    ),
    Fault(
        "control: a stop waits for the end of a pause",
        "engine/runs/control.py",
        "                if self._stop:\n                    raise StopRequested\n",
        "",
        "tests/runs/test_control.py::test_a_pause_blocks_beats_and_ends",
    ),
)
