import msgspec
import numpy as np
import pytest

from daydreamer.config import ActorConfig
from daydreamer.random_actions import EXTREMES, random_action
from daydreamer.robots.quadruped.exploration import RANDOM_ACTIONS, REST_S, SYMMETRIC, Explorer
from daydreamer.spec import RobotSpec, Space

ACTION = Space((4,), low=-1.0, high=1.0)
SPEC = RobotSpec("toy", "toy", 20.0, 250, ("a", "b", "c", "d"), (), {"x": Space((1,))}, ACTION, ("r",))
MIRRORED = msgspec.structs.replace(SPEC, mirror={"x": (1,), "action": (-2, -1, 4, 3)})
HOLD_STEPS = 20
REST_STEPS = round(REST_S * SPEC.control_rate_hz)
MOVED_STEPS = RANDOM_ACTIONS * HOLD_STEPS
LYING, FALLEN, RECOVERED, UP = 5.0, 6.2, 7.5, 9.0


def make(spec=SPEC, seed=0, **actor):
    config = ActorConfig(**{"fallen_reward": FALLEN, "recovered_reward": RECOVERED} | actor)
    return Explorer(spec, config, np.random.default_rng(seed))


def run(explorer, rewards, first=0, has_policy=True):
    return [explorer.choose(reward, first + step, has_policy) for step, reward in enumerate(rewards)]


def share_of_motions(actions):
    return np.mean([action is not None for action in actions])


class Robot:
    """Lies until a motion whose first action is positive, or negative, in its first element has been followed by rest.

    The policy gets it up within three seconds if it `helps`.
    """

    def __init__(self, way_out=1.0, policy_helps=False, reward_up=UP):
        self.way_out = way_out
        self.policy_helps = policy_helps
        self.reward_up = reward_up
        self.up = False
        self._recent = []

    def act(self, action):
        """The reward after an action."""
        self._recent = [*self._recent, action][-MOVED_STEPS - REST_STEPS // 2 :]
        if all(action is None for action in self._recent[-50:]) and len(self._recent) >= 50:
            self.up |= self.policy_helps
        elif len(self._recent) == MOVED_STEPS + REST_STEPS // 2 and all(a is not None for a in self._recent):
            moves = [bool(np.any(a)) for a in self._recent]
            if moves == [True] * MOVED_STEPS + [False] * (REST_STEPS // 2):
                self.up |= bool(self._recent[0][0] * self.way_out > 0.9)
        if self.up:
            return self.reward_up
        return LYING if action is None else LYING + 1.0  # a motion is not hopeless: it is let rest


def seconds_until_up(explorer, robot, first=10_000, limit_s=600):
    """Time to get up after a fall."""
    robot.up, robot._recent = False, []
    reward, actions = LYING, []
    while not robot.up and len(actions) < 20 * limit_s:
        actions.append(explorer.choose(reward, first + len(actions), True))
        reward = robot.act(actions[-1])
    for _ in range(100):  # it stands; whatever is tried ends
        explorer.choose(robot.reward_up, first, True)
    return len(actions) / 20


def test_motions_come_first_and_hold_their_actions():
    explorer = make(random_s=5)
    actions = run(explorer, [LYING, UP, *[LYING] * 98])
    assert share_of_motions(actions) == 1.0
    for begin in (0, HOLD_STEPS):
        held = np.array(actions[begin : begin + HOLD_STEPS])
        np.testing.assert_array_equal(held, np.broadcast_to(held[0], held.shape))
    assert not np.array_equal(actions[0], actions[HOLD_STEPS])


def test_a_motion_that_leads_somewhere_is_followed_by_rest_and_one_that_does_not_is_not():
    moved = MOVED_STEPS
    for rewards, rests in (([LYING] * 20 + [UP] * 80, True), ([UP] * 20 + [LYING] * 80, False)):
        actions = run(make(random_s=50), rewards)
        resting = [not np.any(action) for action in actions[moved : moved + REST_STEPS]]
        assert all(resting) if rests else not any(resting)


def test_after_the_moves_comes_what_leads_onto_the_feet():
    get_up = np.array([[0.1] * 4, [0.2] * 4], np.float32)
    explorer = Explorer(SPEC, ActorConfig(random_s=50), np.random.default_rng(0), get_up)
    actions = run(explorer, [LYING] * 10 + [UP] * 150)
    moved = MOVED_STEPS
    np.testing.assert_array_equal(actions[moved : moved + HOLD_STEPS], np.tile(get_up[0], (HOLD_STEPS, 1)))
    last = actions[moved + HOLD_STEPS : moved + HOLD_STEPS + REST_STEPS]
    np.testing.assert_array_equal(last, np.tile(get_up[1], (REST_STEPS, 1)))


def test_motions_go_on_until_there_is_a_policy_which_takes_over_at_once():
    explorer = make(random_s=0)
    assert share_of_motions(run(explorer, [LYING] * 30, has_policy=False)) == 1.0
    assert explorer.choose(LYING, 30, True) is None


def test_a_robot_that_has_not_fallen_is_left_alone():
    explorer = make(random_s=0)
    assert share_of_motions(run(explorer, np.linspace(FALLEN, 14, 4000))) == 0.0
    assert not explorer.fallen


def test_a_stumble_is_no_fall():
    explorer = make(random_s=0)
    run(explorer, [LYING] * 100 + [UP] * 400)
    assert share_of_motions(run(explorer, [LYING] * 15 + [UP] * 100)) == 0.0


def test_what_once_helped_is_tried_again():
    """The first time takes chance; later the robot knows."""
    explorer, robot = make(random_s=0), Robot()
    run(explorer, [LYING] * 100 + [UP] * 400)
    times_s = [seconds_until_up(explorer, robot) for _ in range(30)]
    assert np.median(times_s[15:]) <= 10.0


def test_the_mirror_image_of_what_helped_is_known_too():
    explorer, robot = make(MIRRORED, random_s=0), Robot()
    run(explorer, [LYING] * 100 + [UP] * 400)
    for _ in range(10):
        seconds_until_up(explorer, robot)
    found = [plan.actions[0] for plan in explorer._remembered]
    assert len(found) >= 2
    np.testing.assert_array_equal(found[1], found[0][[1, 0, 3, 2]] * [-1, -1, 1, 1])


def test_what_was_known_is_known_to_a_later_life():
    explorer, later = make(MIRRORED), make(MIRRORED, seed=1)
    assert explorer.known_motions == ()
    seconds_until_up(explorer, Robot())
    known = explorer.known_motions
    # The policy, which may have been tried, what helped, and its mirror image.
    assert [motion.actions is None for motion in known] == [True, False, False]
    later.recall(known)
    assert later.known_motions == known
    found = [seconds_until_up(explorer, Robot()) for explorer in (later, make(MIRRORED, seed=1))]
    assert found[0] < 20.0 and found[0] < found[1]
    explorer.choose(UP, 20_000, True)
    assert explorer.known_motions is known or explorer.known_motions == known
    # Whatever is of another shape than what is tried now is passed over.
    longer = msgspec.structs.replace(known[1], actions=known[1].actions * 2)
    stranger = make(MIRRORED)
    stranger.recall((longer, known[0]))
    assert stranger.known_motions == (known[0],)


def test_what_has_just_failed_gives_way_to_something_else():
    """From where a robot lies now what has often helped may fail for ever, as with its legs crossed under it."""
    explorer, robot = make(random_s=0), Robot()
    run(explorer, [LYING] * 100 + [UP] * 400)
    for _ in range(20):
        seconds_until_up(explorer, robot)
    successes = max(way.successes for way in explorer._remembered)
    times_s = [seconds_until_up(explorer, Robot(way_out=-1.0)) for _ in range(3)]
    assert successes > 5.0 and np.median(times_s) < 60.0


def test_what_leads_half_way_is_no_way_out():
    """As a motion that ends on the side."""
    explorer, half_way = make(random_s=0), Robot(reward_up=(FALLEN + RECOVERED) / 2)
    run(explorer, [LYING] * 100)
    for _ in range(5):
        seconds_until_up(explorer, half_way)
    assert not explorer._remembered
    seconds_until_up(explorer, Robot())
    assert explorer._remembered


def test_half_of_the_moves_are_their_own_mirror_image():
    explorer = make(MIRRORED, random_s=50000)
    moves = np.concatenate([explorer._random_actions() for _ in range(1800)])
    symmetric = np.all(moves == MIRRORED.mirror_image("action", moves), axis=1)
    assert 0.8 * SYMMETRIC < symmetric.mean() < 1.2 * SYMMETRIC
    assert len(np.unique(moves[symmetric], axis=0)) > 200 and np.abs(moves).max() == 1.0


def test_a_policy_that_gets_up_by_itself_is_left_to_it():
    explorer, robot = make(random_s=0), Robot(way_out=np.nan, policy_helps=True)
    run(explorer, [LYING] * 100 + [UP] * 400)
    for _ in range(30):
        seconds_until_up(explorer, robot)
    shares = []
    for _ in range(10):
        robot.up, robot._recent = False, []
        reward = LYING
        for step in range(200):
            action = explorer.choose(reward, 10_000 + step, True)
            shares.append(action is not None)
            reward = robot.act(action)
    assert np.mean(shares) < 0.3


def test_a_robot_on_its_feet_tries_rhythms_in_the_first_minutes():
    explorer = make(random_s=0, rhythm_hz=(1.0, 2.0), rhythm_s=100)
    actions = run(explorer, [UP] * 2200)
    assert 0.5 < share_of_motions(actions[:2000]) < 0.8 and share_of_motions(actions[2100:]) == 0.0


def test_a_fall_ends_a_rhythm_and_brings_the_rescue():
    explorer = make(random_s=0, rhythm_hz=(1.0, 2.0))
    actions = run(explorer, [UP] * 70)
    assert actions[-1] is not None
    actions = run(explorer, [LYING] * 200)
    held = [np.array_equal(a, b) for a, b in zip(actions[100:], actions[101:], strict=False) if a is not None]
    assert explorer.fallen and np.mean(held) > 0.9  # moves are held, rhythms are not


def test_without_rescue_the_policy_is_left_to_itself():
    explorer = make(random_s=0, fallen_reward=None)
    run(explorer, [LYING] * 200 + [UP] * 400)
    assert share_of_motions(run(explorer, [LYING] * 1000, first=600)) == 0.0


@pytest.mark.parametrize("space", [ACTION, Space((), classes=6)], ids=["continuous", "discrete"])
def test_random_actions_are_valid_and_reach_the_ends(space):
    generator = np.random.default_rng(0)
    actions = np.array([random_action(space, generator) for _ in range(2000)])
    if space.is_discrete:
        assert set(actions.tolist()) == set(range(6))
        return
    assert np.abs(actions).max() == 1.0
    assert 0.9 * EXTREMES < np.mean(np.abs(actions) == 1.0) < 1.1 * EXTREMES
