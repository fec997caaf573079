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
        "engine/kernels.py",
        "return -step_size * by_images, -slope.detach()",
        "return step_size * by_images, -slope.detach()",
        f"{GRADIENT}::test_plain_steps",
    ),
    Fault(
        "adjoint: TESLA's approximation, the curvature left out",
        "engine/kernels.py",
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
        "for number in reversed(range(len(self.kept))):",
        "for number in range(len(self.kept)):",
        f"{GRADIENT}::test_augmented_and_minibatched_steps",
    ),
    Fault(
        "adjoint: augmentation not replayed",
        "engine/gradient.py",
        "augmented, push = _replay(_select(self.pixels, given.batch), given.augmentation)",
        "augmented, push = _replay(_select(self.pixels, given.batch), None)",
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
        "a run's kernels: step size forgotten in the reverse sweep",
        "engine/kernels.py",
        "-step_size * by_images, -slope, cotangent - step_size * by_parameters",
        "-step_size * by_images, -slope, cotangent - by_parameters",
        f"{GRADIENT}::test_a_runs_kernels_are_step_and_adjoint",
    ),
    Fault(
        "second derivative: a normalisation's own curvature forgotten",
        "engine/networks/derivatives.py",
        "by_y - r * (r * bent * n + mean_en * g(state.turned_n))",
        "by_y - r * mean_en * g(state.turned_n)",
        "tests/gradient/test_derivatives.py::test_against_automatic_differentiation",
    ),
    Fault(
        "second derivative: the images' share of the turned kernel forgotten",
        "engine/networks/derivatives.py",
        "by_stream[:n] + turned, by_stream[n:]",
        "by_stream[:n], by_stream[n:]",
        "tests/gradient/test_derivatives.py::test_against_automatic_differentiation",
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
    Fault(
        "experts: snapshots aliased to what is trained on",
        "engine/training.py",
        "self.parameters = self.parameters.sub(self.velocity, alpha=rate)",
        "self.parameters.sub_(self.velocity, alpha=rate)",
        "tests/experts/test_training.py::test_an_update_leaves_earlier_tensors_alone",
    ),
    Fault(
        "experts: momentum lost when one is taken up",
        "engine/experts/train.py",
        "torch.stack([expert.velocity for expert in experts]).to(device))",
        "torch.stack([0 * expert.velocity for expert in experts]).to(device))",
        "tests/experts/test_store.py::test_interrupted_anywhere_and_resumed_the_bits_are_the_same",
    ),
    Fault(
        "step size: published rates lose their meaning",
        "engine/distill.py",
        "change = -rate * momentum / step_size",
        "change = -rate * momentum",
        "tests/distill/test_loop.py::test_to_first_order_it_is_mtts_step",
    ),
    Fault(
        "checkpoint: the step size's momentum is missing",
        "engine/state.py",
        'step_momentum=document["step_momentum"],',
        "step_momentum=0.0,",
        "tests/distill/test_loop.py::test_a_state_survives_its_checkpoint_to_the_bit",
    ),
    Fault(
        "checkpoint: the pixels' momentum is missing",
        "engine/state.py",
        'momentum=tensors["momentum"].to(device),',
        'momentum=torch.zeros_like(tensors["momentum"]).to(device),',
        "tests/distill/test_loop.py::test_a_state_survives_its_checkpoint_to_the_bit",
    ),
    Fault(
        "loop: pixels updated in place, under whoever holds them",
        "engine/distill.py",
        "momentum = settings.pixel_momentum * state.momentum + clipped(gradient.pixels, settings.pixel_clip)",
        "momentum = state.momentum.mul_(settings.pixel_momentum).add_(gradient.pixels)",
        "tests/distill/test_loop.py::test_an_update_leaves_the_tensors_others_hold",
    ),
    Fault(
        "information: ratio scaling forgets the ratio",
        "engine/distill.py",
        "scale = settings.weight / ratio if ratio else 0.0",
        "scale = settings.weight",
        "tests/distill/test_loop.py::test_ratio_scaling_sets_the_norm",
    ),
    Fault(
        "information: the critic trained although it is to stay as it is",
        "engine/information/term.py",
        "for _ in range(self.settings.critic_steps):",
        "for _ in range(max(1, self.settings.critic_steps)):",
        "tests/distill/test_information_gradient.py::test_without_critic_steps_the_critic_never_changes",
    ),
    Fault(
        "evaluation: deviation over n instead of n - 1",
        "engine/evaluation/evaluate.py",
        "statistics.stdev(accuracies)",
        "statistics.pstdev(accuracies)",
        "tests/evaluation/test_evaluate.py::test_scores_deviate_by_n_minus_1",
    ),
    Fault(
        "selection: the best iterate chosen on test images in spite of validation",
        "engine/config/selection.py",
        'return "validation" if config.data.validation > 0 else "test"',
        'return "test"',
        "tests/evaluation/test_selection.py::test_test_images_choose_nothing_where_there_are_validation_images",
    ),
    Fault(
        "recovery: back at the checkpoint the rates are not reduced",
        "engine/distill.py",
        "rates = self.config.execution.recovery_factor**state.recoveries",
        "rates = 1.0",
        "tests/reliability/test_numbers.py::test_once_back_to_the_checkpoint_and_on_with_half_the_rates",
    ),
    Fault(
        "recovery: a checkpoint that a clock, a request or a stop has left decides where it goes back to",
        "engine/saving.py",
        "checkpoints.latest(path, due=True) or ",
        "",
        "tests/reliability/test_numbers.py::test_where_it_goes_back_to_is_decided_by_no_clock_no_request_and_no_stop",
    ),
    Fault(
        "information: of a student on both sides only one is asked",
        "engine/information/term.py",
        "with torch.set_grad_enabled(attached and sides.real is sides.synthetic):",
        "with torch.no_grad():",
        "tests/distill/test_information_gradient.py::test_a_student_on_both_sides_is_asked_through_both",
    ),
    Fault(
        "recovery: losses far above what was normal are not counted",
        "engine/recovery.py",
        "return Vigil(self.recent, self.streak + 1, self.opening)",
        "return Vigil(self.recent, self.streak, self.opening)",
        "tests/reliability/test_numbers.py::test_five_far_above_what_was_normal_diverge_and_four_do_not",
    ),
    Fault(
        "splitting: a step's parts count alike, whatever their sizes",
        "engine/splitting.py",
        "moved += len(part) / len(images) * (",
        "moved += 1 / parts * (",
        "tests/reliability/test_splitting.py::test_parts_give_the_whole",
    ),
    Fault(
        "splitting: the pixels' derivative without its part's weight",
        "engine/splitting.py",
        "slopes.append(share * slope)",
        "slopes.append(slope)",
        "tests/reliability/test_splitting.py::test_parts_give_the_whole",
    ),
    Fault(
        "signals: a hang-up stops the run",
        "mim4dd_tui/signals.py",
        "if number == signal.SIGHUP and not self._stop_on_hangup:",
        "if number == signal.SIGHUP and self._stop_on_hangup:",
        "tests/cli/test_headless.py::test_a_hang_up_stops_nothing",
    ),
    Fault(
        "signals: the signal is missing in the exit code",
        "mim4dd_tui/signals.py",
        "return 0 if self.stopped_by is None else 128 + self.stopped_by",
        "return 0",
        "tests/cli/test_headless.py::test_one_signal_asks_for_a_stop_and_tells_in_the_exit_code",
    ),
    Fault(
        "detach: the process stays in the terminal's session",
        "mim4dd_tui/cli/detach.py",
        "start_new_session=True",
        "start_new_session=False",
        "tests/cli/test_detach.py::test_its_process_leads_a_session_of_its_own",
    ),
    Fault(
        "detach: what ended the process is no failure",
        "mim4dd_tui/cli/detach.py",
        "return code if code >= 0 else 128 - code",
        "return 0",
        "tests/cli/test_detach.py::test_what_ends_the_process_before_it_holds_a_run_comes_back",
    ),
    Fault(
        "cache: the half-written file of a process at work is removed",
        "engine/files.py",
        "and path.is_file() and not (name[1] and _runs(int(name[1]))):",
        "and path.is_file():",
        "tests/reliability/test_leftovers.py::test_only_what_is_old_and_of_a_process_that_is_gone_is_removed",
    ),
    Fault(
        "experts: a row read from another place",
        "engine/experts/rows.py",
        "begin + 4 * size * row)",
        "begin + 4 * row)",
        "tests/experts/test_rows.py::test_a_row_is_the_librarys",
    ),
    Fault(
        "labels: derivative of the sum over a batch, not of its mean",
        "engine/gradient.py",
        "part = step_size / len(images) * self._turned",
        "part = step_size * self._turned",
        "tests/gradient/test_labels.py",
    ),
    Fault(
        "labels: the softmax's own derivative left out",
        "engine/labels.py",
        "return shares * (gathered - (shares * gathered).sum(1, keepdim=True))",
        "return gathered",
        "tests/gradient/test_labels.py::test_what_is_learned_through_targets_and_decoded_copies",
    ),
    Fault(
        "analyses: a cell of other settings is taken",
        "engine/analysis/cells.py",
        'document.get("settings") == settings_of(self.config) else None',
        'document.get("settings") is not None else None',
        "tests/analysis/test_cells.py::test_a_cell_of_other_settings_is_not_taken_and_its_run_not_overwritten",
    ),
    Fault(
        "analyses: differences taken without pairing by seed",
        "engine/analysis/estimates.py",
        "pairs = zip(ours, theirs, strict=True)",
        "pairs = zip(ours, reversed(theirs), strict=True)",
        "tests/analysis/test_estimates.py::test_differences_are_taken_pair_by_pair",
    ),
)
