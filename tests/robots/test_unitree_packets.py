"""Against bytes that Unitree's own software made or took; the layouts are written out again here on purpose."""

import re
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from mcap_ros2._dynamic import generate_dynamic, serialize_dynamic

from daydreamer.robots.a1 import low_level
from daydreamer.robots.go2.low_level import fill_low_command, low_command_crc
from daydreamer.robots.quadruped.unitree import unitree_crc

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from wire import go2_command

POSITION = 0.25 * (np.arange(12) - 5)
STIFFNESS = np.full(12, 80.0)
DAMPING = np.array([1.0, 2.0, 2.0] * 4)


def crc_bit_by_bit(data):
    crc = 0xFFFFFFFF
    for (word,) in struct.iter_unpack("<I", data):
        for bit in range(31, -1, -1):
            top = crc >> 31
            crc = (crc << 1) & 0xFFFFFFFF
            if top ^ (word >> bit & 1):
                crc ^= 0x04C11DB7
    return crc


def test_the_checksum_is_the_published_one():
    data = np.random.default_rng(0).integers(0, 256, 604, np.uint8).tobytes()
    assert unitree_crc(data) == unitree_crc(data + b"ab") == crc_bit_by_bit(data)


def test_an_a1_command_is_what_unitrees_library_sends():
    packet = low_level.encode_command(POSITION, STIFFNESS, DAMPING)
    assert len(packet) == 610
    assert packet[:10] == bytes([0xFF] + [0] * 9)
    assert struct.unpack_from("<Bffhhh", packet, 10) == (0x0A, -1.25, 0.0, 0, 80 * 32, 1 * 16)
    assert struct.unpack_from("<Bffhhh", packet, 10 + 11 * 27) == (0x0A, 1.5, 0.0, 0, 80 * 32, 2 * 16)
    # The checksums that the library (v3.2, amd64) put under the same commands.
    assert packet[-4:].hex() == "e87d6aad"
    assert low_level.encode_command(None, STIFFNESS, DAMPING)[-4:].hex() == "efa51a1f"


def test_an_a1_that_is_damped_has_no_stiffness():
    packet = low_level.encode_command(None, STIFFNESS, DAMPING)
    for joint in range(12):
        _, position, velocity, torque, stiffness, damping = struct.unpack_from("<Bffhhh", packet, 10 + 27 * joint)
        assert (velocity, torque, stiffness, damping) == (0.0, 0, 0, 16 if joint % 3 == 0 else 32)
        assert position == pytest.approx(2.146e9)


@pytest.mark.parametrize(
    "position, stiffness, damping",
    [
        (np.full(12, np.nan), STIFFNESS, DAMPING),
        (np.full(12, 1e300), STIFFNESS, DAMPING),  # infinite in a packet
        (POSITION, np.full(12, 1025.0), DAMPING),
        (POSITION, STIFFNESS, -DAMPING),
        (POSITION, np.full(12, np.inf), DAMPING),
    ],
)
def test_what_an_a1_must_not_be_told_is_refused(position, stiffness, damping):
    with pytest.raises(ValueError):
        low_level.encode_command(position, stiffness, damping)


def a1_state():
    """As Unitree's library (v3.2) read it: torque 2 N m + motor/256, temperatures from 60."""
    packet = bytearray(771)
    packet[0] = 0xFF
    struct.pack_into("<13fb", packet, 10, *(0.5 + i for i in range(13)), 41)
    for motor in range(20):
        fields = (10, 1.5 + motor, 2.5 + motor, 256, 512 + motor, 3.5 + motor, 4.5, 128, 60 + motor, 7, 8)
        struct.pack_into("<BffhhffhbII", packet, 63 + 32 * motor, *fields)
    struct.pack_into("<8hI40BI", packet, 703, *range(100, 108), 123456, *range(40), 0x11223344)
    struct.pack_into("<I", packet, 767, crc_bit_by_bit(bytes(packet[:764])))
    return bytes(packet)


def test_an_a1_state_is_read_as_unitrees_library_reads_it():
    state = low_level.decode_state(a1_state())
    np.testing.assert_allclose(state.joint_position_rad, 1.5 + np.arange(12))
    np.testing.assert_allclose(state.joint_velocity_rad_s, 2.5 + np.arange(12))
    np.testing.assert_allclose(state.joint_torque_n_m[:3], [2.0, 2.00391, 2.00781], atol=1e-5)
    np.testing.assert_allclose(state.temperature_c, 60 + np.arange(12))
    np.testing.assert_allclose(state.orientation_wxyz, [0.5, 1.5, 2.5, 3.5])
    np.testing.assert_allclose(state.angular_velocity_rad_s, [4.5, 5.5, 6.5])
    np.testing.assert_allclose(state.linear_acceleration_m_s2, [7.5, 8.5, 9.5])
    np.testing.assert_allclose(state.foot_force, [100, 101, 102, 103])


def test_what_is_no_a1_state_is_refused():
    good = a1_state()
    damaged = bytearray(good)
    damaged[100] ^= 1
    for packet, sentence in ((good[:-1], "770 bytes"), (bytes(damaged), "checksum"), (bytes(771), "checksum")):
        with pytest.raises(low_level.BadPacket, match=sentence):
            low_level.decode_state(packet)


def definition(message, *parts):
    """In the form of MCAP's schemas: the message, then each message that it is made of."""
    folder = Path(__file__).parents[1] / "unitree_go/msg"
    named = [(folder / f"{name}.msg").read_text() for name in (message, *parts)]
    whole = re.sub(rf"^({'|'.join(parts)})\b", r"unitree_go/\1", named[0], flags=re.MULTILINE)
    separator = "=" * 80
    return whole + "".join(
        f"{separator}\nMSG: unitree_go/{name}\n{text}" for name, text in zip(parts, named[1:], strict=True)
    )


LOW_COMMAND = definition("LowCmd", "MotorCmd", "BmsCmd")


def test_a_go2_command_travels_as_unitrees_message():
    message = fill_low_command(go2_command(), POSITION, STIFFNESS, DAMPING)
    serialize = serialize_dynamic("unitree_go/LowCmd", LOW_COMMAND)["unitree_go/LowCmd"]
    cdr = serialize(message)
    assert cdr[4:8] == bytes([0xFE, 0xEF, 0xFF, 0])
    # CDR aligns each float to four bytes, counted after the header of four: the first motor begins at 22.
    assert cdr[4 + 22] == 1 and struct.unpack_from("<5f", cdr, 4 + 24) == (-1.25, 0.0, 0.0, 80.0, 1.0)
    assert struct.unpack_from("<I", cdr, len(cdr) - 4)[0] == message.crc
    read = generate_dynamic("unitree_go/LowCmd", LOW_COMMAND)["unitree_go/LowCmd"](cdr)
    assert [motor.q for motor in read.motor_cmd[:12]] == POSITION.tolist()
    assert low_command_crc(read) == message.crc


def test_the_go2s_checksum_covers_the_structure_of_the_sdk():
    message = fill_low_command(go2_command(), POSITION, STIFFNESS, DAMPING)
    structure = bytearray(812)
    structure[:3] = (0xFE, 0xEF, 0xFF)
    for index in range(20):
        target, gains = (POSITION[index], (80.0, DAMPING[index])) if index < 12 else (2.146e9, (0.0, 0.0))
        velocity = 0.0 if index < 12 else 16000.0
        structure[24 + 36 * index] = 1
        struct.pack_into("<5f", structure, 28 + 36 * index, target, velocity, 0.0, *gains)
    assert message.crc == crc_bit_by_bit(bytes(structure[:808]))
    message.gpio = 1
    structure[748 + 54] = 1
    assert low_command_crc(message) == crc_bit_by_bit(bytes(structure[:808]))


def test_a_go2_that_is_damped_has_no_stiffness():
    message = fill_low_command(go2_command(), None, STIFFNESS, DAMPING)
    assert {motor.kp for motor in message.motor_cmd} == {0.0}
    assert [motor.kd for motor in message.motor_cmd[:3]] == [1.0, 2.0, 2.0]
    with pytest.raises(ValueError, match="not finite"):
        fill_low_command(go2_command(), np.full(12, np.inf), STIFFNESS, DAMPING)
