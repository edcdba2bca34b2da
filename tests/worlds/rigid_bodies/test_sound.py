"""Contact sound: pitch, decay, onset, silence, side, loudness, and no seam between ticks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orrery.streams import Array, Clock
from orrery.worlds.rigid_bodies.impacts import Impact, ImpactFinder
from orrery.worlds.rigid_bodies.materials import ALL_MATERIALS
from orrery.worlds.rigid_bodies.modes import SHAPE_BASE, ModalBank, half_sine_pulse
from orrery.worlds.rigid_bodies.sound import ContactSamples, ContactSound, SoundingBody

CLOCK = Clock()
NUM_SUBSTEPS = 80
RATE = CLOCK.samples_per_second
SAMPLES_PER_SUBSTEP = CLOCK.samples_per_tick // NUM_SUBSTEPS
SUBSTEP_SECONDS = CLOCK.tick_seconds / NUM_SUBSTEPS
LISTENER = ((0.0, -0.9, 0.5), (1.0, 0.0, 0.0))
TABLE = SoundingBody("table", "wood", "table", 0.3, 20.0)
BALL_KG = 0.2
CONTACT_SUBSTEPS = 7


def ball(material: str = "steel", mass_kg: float = BALL_KG) -> SoundingBody:
    return SoundingBody("object0", material, "ball", 0.04, mass_kg)


def make(
    *bodies: SoundingBody, clock: Clock = CLOCK, num_substeps: int = NUM_SUBSTEPS, hertz: bool = False
) -> ContactSound:
    return ContactSound(bodies or (TABLE, ball()), clock, num_substeps, LISTENER, 3, hertz)


def bounce(substep: int, speed_m_s: float, mass_kg: float = BALL_KG, restitution: float = 0.6) -> Array:
    """Rows `[n, 2]` (substep, force) of a half-sine contact that turns a body round."""
    shape = np.sin(np.pi * (np.arange(CONTACT_SUBSTEPS) + 0.5) / CONTACT_SUBSTEPS)
    impulse_ns = mass_kg * speed_m_s * (1.0 + restitution)
    force_n = shape / shape.sum() * impulse_ns / SUBSTEP_SECONDS
    return np.stack([substep + np.arange(CONTACT_SUBSTEPS), force_n], axis=1)


def resting(start: int, stop: int, mass_kg: float = BALL_KG) -> Array:
    substep = np.arange(start, stop)
    return np.stack([substep, np.full(len(substep), mass_kg * 9.81)], axis=1)


def samples(rows: Array, start: int, stop: int, slip: float = 0.0, roll: float = 0.0) -> ContactSamples:
    """Contact of bodies 0 and 1 from the rows of substeps start..stop."""
    rows = rows[(rows[:, 0] >= start) & (rows[:, 0] < stop)]
    index = np.zeros(len(rows), int)
    return ContactSamples(
        (rows[:, 0] - start).astype(int), index, index + 1, rows[:, 1],
        np.full(len(rows), slip), np.full(len(rows), roll), np.zeros((len(rows), 3)),
    )  # fmt: skip


def render(
    sound: ContactSound,
    rows: Array,
    seconds: float,
    where: Iterable[float] = (0.0, 0.0, 0.0),
    slip: float = 0.0,
    roll: float = 0.0,
) -> tuple[Array, list[Impact]]:
    """The sound `[n, 2]` and all impacts, in seconds since the start, with the sounding body at `where`."""
    positions = np.zeros((len(sound.bodies), 3))
    positions[1] = tuple(where)
    parts, impacts = [], []
    for tick in range(round(seconds / sound.clock.tick_seconds)):
        start = tick * sound.num_substeps
        contacts = samples(rows, start, start + sound.num_substeps, slip, roll)
        parts.append(sound.render_tick(contacts, positions))
        origin = tick * sound.clock.tick_seconds
        impacts += [dataclasses.replace(i, seconds=i.seconds + origin) for i in sound.impacts]
    return np.concatenate(parts), impacts


@pytest.mark.parametrize("material", ALL_MATERIALS)
@pytest.mark.parametrize("shape", SHAPE_BASE)
def test_a_struck_body_answers_at_its_modes(material: str, shape: str) -> None:
    bank = ModalBank(material, shape, 0.045, RATE, np.random.default_rng(5))
    impulse = np.zeros(2 * RATE)
    impulse[0] = 1.0
    answer = bank.render(impulse)
    time = np.arange(len(answer)) / RATE
    closed = sum(
        a * np.cos(2 * np.pi * f * time) * 10 ** (-3 * time / t)
        for a, f, t in zip(bank.amplitudes, bank.frequencies_hz, bank.rt60_seconds, strict=True)
    )
    np.testing.assert_allclose(answer, closed, atol=1e-7)


def test_spectrum_of_a_bounce_peaks_at_the_lowest_modes() -> None:
    sound = make()
    audio, _ = render(sound, bounce(96, 2.0), 2.0)
    spectrum = np.abs(np.fft.rfft(audio[:, 0]))
    hertz = np.fft.rfftfreq(len(audio), 1.0 / RATE)
    for mode in sound.banks[1].frequencies_hz[:3]:
        near = (hertz > 0.9 * mode) & (hertz < 1.1 * mode)
        assert hertz[near][np.argmax(spectrum[near])] == pytest.approx(mode, rel=0.02)
        # ... and it is a peak, not just the largest value of something flat.
        assert spectrum[near].max() > 10.0 * np.median(spectrum[near])


@pytest.mark.parametrize("material", ["wood", "steel"])
def test_lowest_mode_decays_as_its_rt60_says(material: str) -> None:
    sound = make(TABLE, ball(material))
    audio, _ = render(sound, bounce(0, 2.0), 1.0)
    bank = sound.banks[1]
    mode, rt60 = bank.frequencies_hz[0], bank.rt60_seconds[0]
    time = np.arange(len(audio)) / RATE
    # Demodulate the mode; a moving average narrower than the distance to the next mode isolates it.
    width = round(8 * RATE / mode)
    base = np.convolve(audio[:, 0] * np.exp(-2j * np.pi * mode * time), np.ones(width) / width, "valid")
    ringing = slice(round(0.1 * rt60 * RATE), round(0.6 * rt60 * RATE))
    slope_db_s = np.polyfit(time[ringing], 20.0 * np.log10(np.abs(base[ringing])), 1)[0]
    assert -60.0 / slope_db_s == pytest.approx(rt60, rel=0.15)


@given(st.integers(0, 300), st.floats(0.3, 3.0))
@settings(max_examples=25, deadline=None)
def test_onset_and_event_stand_where_the_contact_begins(substep: int, speed_m_s: float) -> None:
    audio, impacts = render(make(), bounce(substep, speed_m_s), 0.5)
    loud = np.flatnonzero(np.abs(audio).max(axis=1) > 1e-4)
    assert 0 <= loud[0] - substep * SAMPLES_PER_SUBSTEP <= RATE // 1000 + 1
    assert [(i.a, i.b) for i in impacts] == [(0, 1)]
    assert impacts[0].seconds == pytest.approx(substep * SUBSTEP_SECONDS, abs=1e-9)
    assert impacts[0].impulse_ns == pytest.approx(BALL_KG * speed_m_s * 1.6, rel=0.08)


def test_nothing_is_heard_without_contact() -> None:
    audio, impacts = render(make(), np.zeros((0, 2)), 0.5)
    assert not audio.any()
    assert not impacts


def test_ringing_ends_in_exact_silence() -> None:
    audio, _ = render(make(), bounce(0, 2.0), 2.5)
    assert np.abs(audio).max() > 0.1
    assert not audio[-CLOCK.samples_per_tick :].any()


@pytest.mark.parametrize("weights", [1.0, 5.0, 50.0])
def test_a_load_that_stays_strikes_at_most_once(weights: float) -> None:
    """A body set down, or pressed by a finger: no retriggering, and silence afterwards."""
    rows = resting(0, 2400)
    rows[:, 1] *= weights
    audio, impacts = render(make(TABLE, ball("wood")), rows, 2.5)
    assert len(impacts) <= 1
    assert np.abs(audio[RATE:]).max() < 10 ** (-70 / 20)


def test_resting_chatter_is_silent() -> None:
    """A resting body in the physics opens its contact for one substep in seven; nobody should hear that."""
    rows = resting(0, 960)
    rows[:, 1] *= 1.0 + 0.4 * np.cos(np.pi * (rows[:, 0] % 7) / 6)
    rows = rows[rows[:, 0] % 7 != 6]
    audio, impacts = render(make(), rows, 1.0)
    assert np.abs(audio).max() < 10 ** (-70 / 20)
    assert not impacts


def test_every_bounce_is_one_event() -> None:
    speed, substep, rows, onsets = 2.4, 100, [], []
    while speed > 0.2:
        rows.append(bounce(substep, speed))
        onsets.append(substep * SUBSTEP_SECONDS)
        speed *= 0.6
        substep += round(2.0 * speed / 9.81 / SUBSTEP_SECONDS)
    rows.append(resting(substep, 1920))
    _, impacts = render(make(), np.concatenate(rows), 2.0)
    np.testing.assert_allclose([i.seconds for i in impacts], onsets, atol=1e-9)
    assert np.all(np.diff([i.impulse_ns for i in impacts]) < 0.0)


def test_impacts_close_together_are_one_event_with_the_loudest_impulse() -> None:
    rows = np.concatenate([bounce(10, 0.4), bounce(26, 1.2)])
    _, impacts = render(make(), rows, 0.25)
    assert len(impacts) == 1
    assert impacts[0].seconds == pytest.approx(10 * SUBSTEP_SECONDS)
    assert impacts[0].impulse_ns == pytest.approx(BALL_KG * 1.2 * 1.6, rel=0.08)


def test_a_blow_on_a_resting_body_is_heard() -> None:
    rows = resting(0, 960)
    rows[480 : 480 + CONTACT_SUBSTEPS, 1] += bounce(0, 0.5)[:, 1]
    _, impacts = render(make(), rows, 1.0)
    assert [round(i.seconds / SUBSTEP_SECONDS) for i in impacts] == [480]


def test_harder_and_heavier_blows_are_louder() -> None:
    peaks = [np.abs(render(make(), bounce(5, v), 0.25)[0]).max() for v in (0.2, 0.5, 1.0, 2.0)]
    assert np.all(np.diff(peaks) > 0.0)
    heavy = make(TABLE, ball(mass_kg=4 * BALL_KG))
    audio, _ = render(heavy, bounce(5, 0.5, mass_kg=4 * BALL_KG), 0.25)
    assert np.abs(audio).max() > 1.3 * peaks[1]


def test_level_of_a_loud_drop_and_of_a_soft_one() -> None:
    """Steel from 0.3 m comes near full scale, rubber from 2 cm stays around 0.05."""
    steel = make(TABLE, SoundingBody("object0", "steel", "ball", 0.052, 0.53))
    loud, _ = render(steel, bounce(0, np.sqrt(2 * 9.81 * 0.3), mass_kg=0.53), 0.25)
    soft, _ = render(make(TABLE, ball("rubber")), bounce(0, np.sqrt(2 * 9.81 * 0.02)), 0.25)
    assert 0.4 < np.abs(loud).max() < 0.9
    assert 0.02 < np.abs(soft).max() < 0.1


@given(st.floats(0.0, 200.0))
@settings(max_examples=15, deadline=None)
def test_the_limiter_keeps_full_scale(speed_m_s: float) -> None:
    audio, _ = render(make(), bounce(0, speed_m_s), 0.25)
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() <= 1.0
    assert audio.dtype == np.float32


def test_what_is_on_the_right_is_louder_on_the_right() -> None:
    rows = bounce(0, 1.0)
    left, right = np.abs(render(make(), rows, 0.25, where=(0.3, 0.0, 0.0))[0]).max(axis=0)
    assert right > 1.2 * left
    mirrored = render(make(), rows, 0.25, where=(-0.3, 0.0, 0.0))[0]
    np.testing.assert_allclose(np.abs(mirrored).max(axis=0), [right, left], rtol=0.02)
    centre = render(make(), rows, 0.25)[0]
    np.testing.assert_allclose(centre[:, 0], centre[:, 1], atol=1e-7)


def test_twice_as_far_is_half_as_loud() -> None:
    ear, away = np.array(LISTENER[0]), np.array([0.0, 1.0, 0.0])
    near, far = (render(make(), bounce(0, 0.5), 0.5, where=ear + r * away)[0] for r in (0.5, 1.0))
    late = slice(RATE // 4, None)  # by now the table, which did not move, is silent
    np.testing.assert_allclose(far[late], 0.5 * near[late], atol=1e-5)
    assert np.abs(near[late]).max() > 1e-3


def scattered(rng: np.random.Generator) -> Array:
    """Bounces of all strengths that no tick border cuts, a tap at a border, and a resting stretch."""
    starts = [80 * tick + int(rng.integers(0, 80 - 2 * CONTACT_SUBSTEPS)) for tick in (0, 2, 4)]
    parts = [bounce(start, float(rng.uniform(0.05, 3.0))) for start in starts]
    tap = np.array([[6 * 80 - 1, 200.0 * rng.uniform(0.5, 1.0)]])
    return np.concatenate([*parts, tap, resting(6 * 80 + 20, 960)])


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["steel", "rubber", "glass"]),
    st.sampled_from([24_000, 48_000]),
    st.booleans(),
)
@settings(max_examples=10, deadline=None)
def test_twelve_ticks_equal_one_long_tick(seed: int, material: str, rate: int, hertz: bool) -> None:
    """The slow twin: the same second rendered without any border, at both rates and with both kinds of
    pulse.
    """
    short, long = (Clock(samples_per_second=rate, frames_per_tick=frames) for frames in (2, 24))
    rows = scattered(np.random.default_rng(seed))
    bodies = (TABLE, ball(material))
    for slip, roll in ((0.0, 0.0), (0.4, 0.3)):
        whole = make(*bodies, clock=long, num_substeps=12 * NUM_SUBSTEPS, hertz=hertz)
        expected, expected_impacts = render(whole, rows, 1.0, slip=slip, roll=roll)
        audio, impacts = render(make(*bodies, clock=short, hertz=hertz), rows, 1.0, slip=slip, roll=roll)
        np.testing.assert_allclose(audio, expected, atol=1e-5)
        assert [(i.a, i.b) for i in impacts] == [(i.a, i.b) for i in expected_impacts]
        np.testing.assert_allclose(
            [i.seconds for i in impacts], [i.seconds for i in expected_impacts], atol=1e-9
        )


@pytest.mark.parametrize("num_before", range(1, CONTACT_SUBSTEPS))
@pytest.mark.parametrize("speed_m_s", [0.1, 1.0])
def test_an_impact_across_a_border_is_one_event_of_the_same_strength(
    num_before: int, speed_m_s: float
) -> None:
    """What is not known before the border is played right after it, so nothing is lost or doubled."""
    rows = bounce(80 - num_before, speed_m_s)
    whole = make(clock=Clock(frames_per_tick=24), num_substeps=12 * NUM_SUBSTEPS)
    expected, [impact] = render(whole, rows, 1.0)
    audio, impacts = render(make(), rows, 1.0)
    assert [(i.seconds, i.impulse_ns) for i in impacts] == [
        (pytest.approx(impact.seconds, abs=1e-9), pytest.approx(impact.impulse_ns))
    ]
    assert np.abs(audio).max() <= 1.05 * np.abs(expected).max()
    assert np.abs(audio).max() >= 0.3 * np.abs(expected).max()


def test_a_body_that_moves_changes_its_level_without_a_step() -> None:
    rows, table = bounce(0, 0.5), np.zeros(3)
    moving, still = make(), make()
    here, there = np.array([-0.3, 0.0, 0.0]), np.array([0.3, -0.3, 0.0])
    for sound in (moving, still):
        sound.render_tick(samples(rows, 0, 80), np.stack([table, here]))
    nothing = ContactSamples.empty()
    moved = moving.render_tick(nothing, np.stack([table, there]))
    stayed = still.render_tick(nothing, np.stack([table, here]))
    np.testing.assert_allclose(moved[:5], stayed[:5], atol=0.005 * np.abs(stayed[:50]).max())
    at_end = moving.render_tick(nothing, np.stack([table, there]))
    difference = np.abs(np.diff(np.concatenate([moved[-100:], at_end[:100]]), axis=0))
    assert difference[95:105].max() <= 1.05 * np.delete(difference, slice(95, 105), axis=0).max()
    assert np.abs(moved - stayed).max() > 0.1 * np.abs(stayed).max()


def test_friction_is_quiet_grows_with_speed_and_stops() -> None:
    rows = resting(0, 960)
    impact, _ = render(make(), bounce(0, 1.0), 1.0)
    levels = []
    for slip in (0.0, 0.2, 0.8):
        audio, impacts = render(make(), rows, 2.0, slip=slip)
        assert not impacts
        levels.append(np.abs(audio[: RATE // 2]).max())
        assert np.abs(audio[-RATE // 4 :]).max() < 1e-4
    assert levels[0] == 0.0
    assert 2.0 * levels[1] < levels[2] < 0.1 * np.abs(impact).max()


def test_rolling_is_darker_than_sliding() -> None:
    def brightness(slip: float, roll: float) -> float:
        audio, _ = render(make(TABLE, ball("wood")), resting(0, 960), 1.0, slip=slip, roll=roll)
        power = np.abs(np.fft.rfft(audio[:, 0])) ** 2
        return float(power @ np.fft.rfftfreq(len(audio), 1.0 / RATE) / power.sum())

    assert brightness(0.0, 0.5) < 0.8 * brightness(0.5, 0.0)


@given(st.integers(0, 11), st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_snapshot_and_restore_repeat_exactly(tick: int, seed: int) -> None:
    rows = np.concatenate([scattered(np.random.default_rng(seed)), bounce(78, 1.0)])
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    sound = make()

    def play(first: int, last: int) -> list[tuple[bytes, list[Impact]]]:
        played = []
        for t in range(first, last):
            contacts = samples(rows, 80 * t, 80 * t + 80, slip=0.2, roll=0.1)
            played.append((sound.render_tick(contacts, np.zeros((2, 3))).tobytes(), sound.impacts))
        return played

    play(0, tick)
    snapshot = sound.snapshot()
    first = play(tick, 12)
    sound.restore(snapshot)
    assert play(tick, 12) == first
    sound.restore(snapshot)  # the snapshot was not consumed
    assert play(tick, 12) == first


def test_the_seed_decides_the_voice() -> None:
    voices = [
        ContactSound((TABLE, ball()), CLOCK, 80, LISTENER, seed).banks[1].frequencies_hz for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(voices[0], voices[1])
    assert not np.allclose(voices[0], voices[2], rtol=1e-3)


def test_small_bodies_sound_higher_and_soft_contacts_darker() -> None:
    def lowest(half_extent_m: float) -> float:
        return float(
            ModalBank("wood", "ball", half_extent_m, RATE, np.random.default_rng(0)).frequencies_hz[0]
        )

    assert lowest(0.03) == pytest.approx(2.0 * lowest(0.06))
    short, long = half_sine_pulse(0.2e-3, RATE), half_sine_pulse(2e-3, RATE)
    assert short.sum() == pytest.approx(1.0)
    assert long.sum() == pytest.approx(1.0)
    assert np.abs(np.fft.rfft(long, RATE)[3000]) < 0.1 * np.abs(np.fft.rfft(short, RATE)[3000])


def test_bars_and_plates_ring_by_their_geometry() -> None:
    """Free bar: 1, 2.757, 5.404 (Euler and Bernoulli); plate of 3:2 on supports: 1, 25/13, 40/13; within 5
    %.
    """
    for shape, expected in (("bar", (1.0, 2.757, 5.404)), ("plate", (1.0, 25 / 13, 40 / 13))):
        hertz = ModalBank("wood", shape, 0.05, RATE, np.random.default_rng(0)).frequencies_hz
        np.testing.assert_allclose(hertz[:3] / hertz[0], expected, rtol=0.051)


def test_harder_blows_are_brighter_by_hertz() -> None:
    """A contact ten times as fast lasts 10^-0.2 as long: more of its energy lies above 1.5 kHz."""

    def brightness(speed_m_s: float, hertz: bool) -> float:
        audio, _ = render(make(TABLE, ball("rubber"), hertz=hertz), bounce(5, speed_m_s), 0.25)
        power = np.abs(np.fft.rfft(audio[:, 0])) ** 2
        return float(power[np.fft.rfftfreq(len(audio), 1 / RATE) > 1500].sum() / power.sum())

    assert brightness(0.2, False) == pytest.approx(brightness(2.0, False), rel=0.02)
    assert brightness(2.0, True) > 1.5 * brightness(0.2, True)


def test_a_listener_that_moves_hears_no_step() -> None:
    sound, rows = make(), bounce(0, 0.5)
    first = sound.render_tick(samples(rows, 0, 80), np.zeros((2, 3)))
    sound.listen_from((0.9, 0.0, 0.5), (0.0, 1.0, 0.0))
    second = sound.render_tick(ContactSamples.empty(), np.zeros((2, 3)))
    joined = np.concatenate([first[-200:], second[:200]])
    steps = np.abs(np.diff(joined, axis=0)).max(axis=1)
    assert steps[198:202].max() <= 1.05 * np.delete(steps, slice(198, 202)).max()


def test_pairs_are_told_apart() -> None:
    """Two impacts in the same substep, of different pairs, are two events in the bodies' own indices."""
    finder = ImpactFinder(np.array([20.0, 0.2, 0.5]), SUBSTEP_SECONDS)
    force = np.zeros((3, NUM_SUBSTEPS))
    for pair, mass in ((0, 0.2), (2, 0.2)):
        rows = bounce(20, 1.0, mass)
        force[pair, rows[:, 0].astype(int)] = rows[:, 1]
    strikes, impacts = finder.find(force, lambda pair, substep: (float(pair), 0.0, 0.0))
    assert [(s.pair, s.substep) for s in strikes] == [(0, 20), (2, 20)]
    assert [(i.a, i.b, i.position_m[0]) for i in impacts] == [(0, 1, 0.0), (1, 2, 2.0)]
