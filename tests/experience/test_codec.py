"""The message of a step: its definition, and its bytes as other ROS 2 tools read them."""

import dataclasses
import io

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from mcap.reader import make_reader
from mcap.records import Schema
from mcap_ros2.decoder import DecoderFactory
from mcap_ros2.writer import Writer as Ros2Writer

from daydreamer.errors import UserError
from daydreamer.experience.codec import StepDecoder, StepEncoder
from daydreamer.experience.log import ExperienceWriter
from daydreamer.experience.schema import STEP_TYPE, step_schema
from daydreamer.experience.tail import LogTail
from daydreamer.spec import Space

COUNTERS = st.integers(0, 2**32 - 1)
TIMES = st.integers(0, 2**63 - 1)
ANY_FLOAT = st.floats(width=64)


@pytest.fixture(scope="module")
def stock_decoder(spec):
    schema = Schema(id=1, name=STEP_TYPE, encoding="ros2msg", data=step_schema(spec).definition.encode())
    return DecoderFactory().decoder_for("cdr", schema)


@st.composite
def steps(draw, template):
    arrays = {
        "observation": {
            "vector": draw(npst.arrays(np.float32, (5,))),
            "image": draw(npst.arrays(np.uint8, (4, 4, 3))),
            "height": draw(npst.arrays(np.float32, ())),
        },
        "action_requested": draw(npst.arrays(np.float32, (2,))),
        "action_sent": draw(npst.arrays(np.float32, (3,))),
    }
    counters = {name: draw(COUNTERS) for name in ("actor_life", "sequence", "policy_version", "safety_flags")}
    times = {name: draw(TIMES) for name in ("monotonic_ns", "wall_ns")}
    flags = {name: draw(st.booleans()) for name in ("is_first", "is_last", "is_terminal", "intervention")}
    return dataclasses.replace(
        template,
        reward=draw(ANY_FLOAT),
        reward_terms={"upright": draw(ANY_FLOAT), "velocity": draw(ANY_FLOAT)},
        info={"forward_velocity_m_s": draw(ANY_FLOAT)},
        latency_s=draw(ANY_FLOAT),
        **arrays,
        **counters,
        **times,
        **flags,
    )


def expected_message(step):
    """The fields that a generic ROS 2 reader must see."""
    message = {name: getattr(step, name) for name in type(step).__slots__ if not isinstance(getattr(step, name), dict)}
    for prefix, values in (
        ("observation", step.observation),
        ("reward", step.reward_terms),
        ("info", step.info),
    ):
        message |= {f"{prefix}_{key}": value for key, value in values.items()}
    return message


@given(data=st.data())
def test_any_step_is_read_by_the_stock_decoder(data, spec, make_step, stock_decoder):
    step = data.draw(steps(make_step(0)))
    message = stock_decoder(StepEncoder(spec).encode(step))
    for name, value in expected_message(step).items():
        found = getattr(message, name)
        found = np.frombuffer(found, np.uint8) if isinstance(found, bytes) else np.asarray(found)
        np.testing.assert_array_equal(found, np.ravel(value) if np.ndim(value) else value, err_msg=name)


def test_bytes_are_those_of_the_stock_encoder(spec, make_step):
    for sequence in range(20):
        step = make_step(sequence)
        payload = StepEncoder(spec).encode(step)
        message = {
            name: (value.tobytes() if value.dtype == np.uint8 else value.ravel().tolist()) if np.ndim(value) else value
            for name, value in expected_message(step).items()
        }
        message["checksum"] = int.from_bytes(payload[-4:], "little")
        file = io.BytesIO()
        writer = Ros2Writer(file)
        writer.write_message("/step", writer.register_msgdef(STEP_TYPE, step_schema(spec).definition), message)
        writer.finish()
        file.seek(0)
        _, _, stock = next(make_reader(file).iter_messages())
        assert stock.data == payload


@given(data=st.data())
def test_any_step_survives_the_log(data, spec, make_step, same, tmp_path_factory):
    directory = tmp_path_factory.mktemp("log")
    step = dataclasses.replace(data.draw(steps(make_step(0))), sequence=0, actor_life=1)
    with ExperienceWriter(directory, spec, 1, fsync_period_s=10) as writer:
        writer.append(step)
    assert same(LogTail(writer.path, spec).read(), [step])


def test_decoded_arrays_keep_the_types_of_a_discrete_robot(spec, make_step, tmp_path):
    discrete = msgspec.structs.replace(spec, action=Space((), classes=6), joint_names=(), reward_terms=(), info=())
    step = dataclasses.replace(
        make_step(0),
        action_requested=np.asarray(4, np.int32),
        action_sent=np.asarray(4, np.float32),
        reward_terms={},
        info={},
    )
    with ExperienceWriter(tmp_path, discrete, 1, fsync_period_s=10) as writer:
        writer.append(step)
    (read,) = LogTail(writer.path, discrete).read()
    assert read.action_requested.dtype == np.int32 and read.action_requested.shape == () and read.action_requested == 4
    assert read.reward_terms == {} and read.info == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"observation": {"vector": np.zeros(1, np.float32)}}, "observation"),
        ({"action_requested": np.zeros(3, np.float32)}, "action_requested"),
        ({"action_sent": np.zeros((), np.float32)}, "action_sent"),
        ({"reward_terms": {"upright": 1.0}}, "reward terms"),
        ({"info": {"forward_velocity_m_s": 1.0, "other": 1.0}}, "info"),
    ],
)
def test_a_step_that_does_not_follow_the_specification_is_refused(spec, make_step, change, message):
    with pytest.raises(ValueError, match=message):
        StepEncoder(spec).encode(dataclasses.replace(make_step(0), **change))


@pytest.mark.parametrize(
    ("key", "value"),
    [("vector", np.zeros(1, np.float32)), ("image", np.zeros((4, 4, 3), np.float32)), ("height", np.zeros(1))],
)
def test_an_observation_of_another_shape_or_type_is_refused(spec, make_step, key, value):
    step = make_step(0)
    with pytest.raises(ValueError, match=f"'{key}'"):
        StepEncoder(spec).encode(dataclasses.replace(step, observation=step.observation | {key: value}))


@pytest.mark.parametrize("name", ["Upright", "up-right", "up__right", "upright_", "uprïght"])
def test_a_name_that_ros_does_not_allow_is_refused(spec, name):
    with pytest.raises(UserError, match=f"'reward_{name}'"):
        step_schema(msgspec.structs.replace(spec, reward_terms=(name,)))


def test_a_name_used_twice_is_refused(spec):
    with pytest.raises(UserError, match="twice"):
        step_schema(msgspec.structs.replace(spec, info=("height_m", "height_m")))


def test_records_have_one_size(spec, make_step):
    sizes = {len(StepEncoder(spec).encode(make_step(sequence))) for sequence in range(10)}
    assert sizes == {StepDecoder(spec, channel=1).record_size - 31}
