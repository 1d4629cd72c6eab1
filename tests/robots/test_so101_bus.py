"""The SO-101's bus: bytes as the maker's library sends them, and servos on a pseudo-terminal that err."""

import contextlib
import json
import os
import pty
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent))
from feetech_stand_in import FeetechStandIn, calibration, counts

from daydreamer.errors import UserError
from daydreamer.robots.so101 import feetech
from daydreamer.robots.so101.bus import SerialPort, ServoBus
from daydreamer.robots.so101.constants import COUNT_RAD, JOINTS, READY_RAD, REST_RAD, STALL_TORQUE_N_M
from daydreamer.robots.so101.servos import ArmServos

OURS_AND_THEIRS = {
    # What scservo_sdk of feetech-servo-sdk 1.0.0 writes for the same.
    "ping": (feetech.ping(1), "ff ff 01 02 01 fb"),
    "read": (feetech.read(3, 56, 2), "ff ff 03 04 02 38 02 bc"),
    "write a byte": (feetech.write(6, feetech.TORQUE_ENABLE, 1), "ff ff 06 04 03 28 01 c9"),
    "write a word": (feetech.write(2, feetech.GOAL_POSITION, 2048), "ff ff 02 05 03 2a 00 08 c3"),
    "write a negative": (feetech.write(2, feetech.HOMING_OFFSET, -5), "ff ff 02 05 03 1f 05 08 c9"),
    "sync read": (feetech.sync_read((1, 2, 3), 56, 15), "ff ff fe 07 82 38 0f 01 02 03 2b"),
    "sync write": (
        feetech.sync_write(feetech.GOAL_POSITION, {1: 1000, 2: 3000}),
        "ff ff fe 0a 83 2a 02 01 e8 03 02 b8 0b 97",
    ),
}


@pytest.mark.parametrize("name", OURS_AND_THEIRS)
def test_requests_are_byte_for_byte_those_of_the_makers_library(name):
    ours, theirs = OURS_AND_THEIRS[name]
    assert ours.hex(" ") == theirs


def test_the_makers_library_writes_these_bytes_itself():
    sdk = pytest.importorskip("scservo_sdk")
    if not hasattr(sdk, "PacketHandler"):
        pytest.skip("ftservo-python-sdk, whose module of the same name has other classes")

    class Port:
        is_using = False
        written = b""

        def __getattr__(self, name):
            return lambda *arguments: None

        def writePort(self, packet):
            self.written = bytes(packet)
            return len(packet)

        def readPort(self, length):
            return b""

        def isPacketTimeout(self):
            return True

    handler, port = sdk.PacketHandler(0), Port()
    sync_write = sdk.GroupSyncWrite(port, handler, 42, 2)
    for servo, count in ((1, 1000), (2, 3000)):
        sync_write.addParam(servo, [count & 255, count >> 8])
    calls = {
        "ping": lambda: handler.ping(port, 1),
        "read": lambda: handler.read2ByteTxRx(port, 3, 56),
        "write a byte": lambda: handler.write1ByteTxRx(port, 6, 40, 1),
        "write a word": lambda: handler.write2ByteTxRx(port, 2, 42, 2048),
        "write a negative": lambda: handler.write2ByteTxRx(port, 2, 31, sdk.SCS_TOSCS(-5, 11)),
        "sync read": lambda: handler.syncReadTx(port, 56, 15, [1, 2, 3], 3),
        "sync write": lambda: sync_write.txPacket(),
    }
    assert calls.keys() == OURS_AND_THEIRS.keys()
    for name, call in calls.items():
        port.is_using = False
        call()
        assert port.written.hex(" ") == OURS_AND_THEIRS[name][1], name


def test_answers_are_found_in_any_pieces_and_among_noise():
    sent = [feetech.answer(1, b"\x01\xff\xff"), feetech.answer(2, bytes(15), faults=32), feetech.answer(3)]
    stream = b"\x00\xff" + sent[0] + b"\x07\xff" + sent[1] + sent[2]
    for size in range(1, 9):
        reader = feetech.AnswerReader()
        pieces = [stream[begin : begin + size] for begin in range(0, len(stream), size)]
        found = [each for piece in pieces for each in reader.feed(piece)]
        assert [(each.servo, each.faults, each.content) for each in found] == [
            (1, 0, b"\x01\xff\xff"),
            (2, 32, bytes(15)),
            (3, 0, b""),
        ]
        assert reader.damaged == 0 and reader.skipped == 4
    assert feetech.fault_names(36) == "overheated, overloaded"


def test_no_answer_with_a_wrong_bit_is_taken():
    good = feetech.answer(4, bytes(range(15)))
    for bit in range(16, 8 * len(good)):
        wrong = bytearray(good)
        wrong[bit // 8] ^= 1 << bit % 8
        reader = feetech.AnswerReader()
        found = reader.feed(bytes(wrong) + bytes(300))
        assert not [each for each in found if each.content == bytes(range(15))]


@pytest.mark.parametrize("register, value", [(feetech.TORQUE_ENABLE, 256), (feetech.TORQUE_LIMIT, -1)])
def test_a_number_that_does_not_fit_is_not_sent(register, value):
    with pytest.raises(ValueError, match="does not fit"):
        feetech.write(1, register, value)


@pytest.fixture
def arm():
    with contextlib.closing(FeetechStandIn()) as arm:
        yield arm


@pytest.fixture
def bus(arm):
    with contextlib.closing(SerialPort(arm.port)) as port:
        yield ServoBus(port, answer_s=0.05)  # this machine may be busy, and the servos with it


@pytest.fixture
def patient_bus(arm):
    """Where every servo answers, and begins are many: each waits for a second servo of every id."""
    with contextlib.closing(SerialPort(arm.port)) as port:
        yield ServoBus(port, answer_s=0.15)


def refusal(arm, bus, **arguments):
    with pytest.raises(UserError) as refused:
        ArmServos(bus, **arguments)
    assert not any(arm.torque)
    return str(refused.value)


def test_what_servos_say_comes_in_units_of_the_robot(arm, bus):
    servos = ArmServos(bus)
    servos.prepare()
    arm.servos[3].set(feetech.LOAD, -500)
    arm.servos[3].set(feetech.CURRENT, -100)
    arm.servos[4].set(feetech.TEMPERATURE, 55)
    arm.servos[5].set(feetech.STATUS, 4)
    state = servos.state()
    np.testing.assert_allclose(state.position_rad, REST_RAD, atol=COUNT_RAD)
    assert (
        state.effort_n_m[2] == pytest.approx(-0.65 / 2.7 * STALL_TORQUE_N_M) and not state.effort_n_m[[0, 1, 3]].any()
    )
    assert state.temperature_c[3] == 55.0 and state.voltage_v[0] == pytest.approx(12.1)
    assert state.faults == {"wrist_roll": "overheated"}
    limits = [servo.get(feetech.TORQUE_LIMIT) for servo in arm.servos.values()]
    assert limits == [1000] * 5 + [500] and not any(arm.torque)


def test_servos_have_torque_only_once_they_know_where_to_be(arm, bus):
    servos = ArmServos(bus)
    begin = [servo.position for servo in arm.servos.values()]
    servos.drive(REST_RAD)
    for _ in range(20):
        state = servos.state()
    assert all(arm.torque) and np.abs(begin - counts(state.position_rad)).max() <= 1
    servos.drive(READY_RAD)
    while np.abs(servos.state().position_rad - READY_RAD).max() > 2 * COUNT_RAD:
        pass
    servos.drive(None)
    servos.state()
    assert not any(arm.torque)


def test_lost_and_damaged_packets_are_asked_for_again_and_none_is_believed(arm, bus):
    servos = ArmServos(bus)
    arm.lost, arm.damaged = 0.02, 0.03
    states = [servos.state() for _ in range(60)]
    seen = [state for state in states if state is not None]
    assert len(seen) > 50 and bus.asked_again > 5 and bus.damaged > 2
    for state in seen:
        np.testing.assert_allclose(state.position_rad, REST_RAD, atol=COUNT_RAD)
        assert (state.voltage_v == 12.1).all()


def test_a_servo_that_is_missing_is_named(arm, bus):
    del arm.servos[3]
    assert "Servo 3 (elbow_flex) of the arm does not answer" in refusal(arm, bus)
    arm.servos.clear()
    assert "No servo of the arm answers; switch its power on" in refusal(arm, bus)


def test_two_servos_with_one_id_are_told_from_a_missing_one(arm, bus):
    del arm.servos[4]
    arm.doubled = {3}
    said = refusal(arm, bus)
    assert "Two servos of the arm seem to have the id of 3 (elbow_flex)" in said and "4 (wrist_flex)" in said


@pytest.mark.parametrize(
    "register, value, words",
    [
        (feetech.MODEL, 1284, "model 1284, not an STS3215"),
        (feetech.VOLTAGE, 21, "2.1 V; switch the arm's power on"),
        (feetech.UPPER_LIMIT, 4095, "has not been calibrated, or as another joint"),
    ],
)
def test_a_servo_that_is_not_as_it_should_be(arm, patient_bus, register, value, words):
    arm.servos[2].set(register, value)
    assert "2 (shoulder_lift)" in (said := refusal(arm, patient_bus)) and words in said


def test_the_calibration_of_another_arm_is_refused(arm, patient_bus, tmp_path):
    own = {
        name: {"id": joint + 1, "drive_mode": 0, "homing_offset": offset, "range_min": lower, "range_max": upper}
        for joint, (name, (offset, lower, upper)) in enumerate(zip(JOINTS, calibration(), strict=True))
    }
    path = tmp_path / "arm.json"
    path.write_text(json.dumps(own))
    ArmServos(patient_bus, path)
    own["elbow_flex"]["homing_offset"] += 17
    path.write_text(json.dumps(own))
    assert "is the calibration of another arm: for elbow_flex it has id 3" in refusal(
        arm, patient_bus, calibration=path
    )
    own["elbow_flex"]["range_max"] = 10**400
    path.write_text(json.dumps(own))
    assert "is no calibration" in refusal(arm, patient_bus, calibration=path)
    del own["gripper"], own["elbow_flex"]
    path.write_text(json.dumps(own))
    assert "of another kind of arm: it lacks elbow_flex, gripper" in refusal(arm, patient_bus, calibration=path)
    path.write_text("{}]")
    assert "is no calibration" in refusal(arm, patient_bus, calibration=path)
    assert "cannot be read" in refusal(arm, patient_bus, calibration=tmp_path / "nowhere.json")


def test_a_port_that_cannot_be_used_is_told_with_its_cure(arm, bus, tmp_path):
    with pytest.raises(UserError, match="in use by another driver"):
        SerialPort(arm.port)
    with pytest.raises(UserError, match="plug the adapter in"):
        SerialPort(str(tmp_path / "ttyACM0"))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is no serial port"):
        SerialPort(str(tmp_path / "file"))


def test_an_adapter_that_takes_nothing_any_more_is_told_and_not_waited_for():
    ours, theirs = pty.openpty()  # which nobody reads
    try:
        with contextlib.closing(SerialPort(os.ttyname(theirs))) as port:
            with pytest.raises(OSError, match="takes nothing any more"):
                for _ in range(10_000):
                    port.send(bytes(64))
    finally:
        os.close(ours)
        os.close(theirs)
