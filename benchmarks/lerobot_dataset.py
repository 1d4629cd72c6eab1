"""Whether LeRobot's own library opens what `daydreamer export --format lerobot` writes, and finds what was logged.

    daydreamer export SESSION --format lerobot --out DATASET
    python -m venv lerobot && lerobot/bin/pip install lerobot msgspec mcap mcap-ros2-support safetensors   # large
    PYTHONPATH=. lerobot/bin/python benchmarks/lerobot_dataset.py SESSION DATASET [--json FILE]

Reads every frame of some episodes through `LeRobotDataset`, pictures included, in order and in shuffled batches of a
DataLoader with a second of history, and compares them with the session's log.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from daydreamer.experience.tail import ExperienceTail
from daydreamer.export.lerobot_dataset import episodes, frames_of
from daydreamer.session.directory import Session

EPISODES = 5
HISTORY_FRAMES = 5
BATCHES, BATCH_SIZE = 20, 32


def compare(session: Session, dataset: LeRobotDataset) -> dict[str, Any]:
    """The largest difference of any number, and of any colour of a picture, in [0, 1]."""
    spec = session.spec
    logged = list(episodes(ExperienceTail(session.experience, spec)))
    assert dataset.num_episodes == len(logged), (dataset.num_episodes, len(logged))
    assert dataset.num_frames == sum(len(episode) - 1 for episode in logged) == len(dataset)
    numbers, colours, seen, begin_s = 0.0, 0.0, 0, time.monotonic()
    for number in np.unique(np.linspace(0, len(logged) - 1, EPISODES).astype(int)):
        expected = frames_of(logged[number], spec)
        first = int(dataset.meta.episodes[int(number)]["dataset_from_index"])
        for offset in range(len(expected["frame_index"])):
            item = dataset[first + offset]
            assert int(item["episode_index"]) == number and item["task"] == spec.task
            for name, values in expected.items():
                told = item[name].numpy().astype(float).ravel()
                known = np.isfinite(values[offset]).ravel()
                assert np.array_equal(np.isfinite(told), known), name
                wanted = values[offset].astype(float).ravel()
                numbers = max(numbers, float(np.abs(told - wanted)[known].max(initial=0.0)))
            for key, space in spec.observation.items():
                if space.is_image:
                    image = item[f"observation.images.{key}"].numpy().transpose(1, 2, 0)
                    truth = logged[number][offset].observation[key] / 255.0
                    colours = max(colours, float(np.abs(image - truth).mean()))
            seen += 1
    return {
        "frames_compared": seen,
        "largest_difference": numbers,
        "largest_mean_difference_of_a_picture": colours,
        "ms_per_frame": 1e3 * (time.monotonic() - begin_s) / max(1, seen),
    }


def load_batches(root: Path) -> int:
    """Frames with a second of history, in shuffled batches, as a training would ask for them."""
    meta = LeRobotDataset("local/session", root=root).meta
    history = [-index / meta.fps for index in range(HISTORY_FRAMES)][::-1]
    dataset = LeRobotDataset("local/session", root=root, delta_timestamps={"action": history})
    loader = torch.utils.data.DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True, num_workers=0)
    count = 0
    for batch, _ in zip(loader, range(BATCHES), strict=False):
        assert batch["action"].shape[1] == HISTORY_FRAMES
        count += len(batch["index"])
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("session", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    dataset = LeRobotDataset("local/session", root=options.dataset)
    result = {
        "lerobot": importlib.metadata.version("lerobot"),
        "episodes": dataset.num_episodes,
        "frames": dataset.num_frames,
        "features": sorted(dataset.features),
        **compare(Session.open(options.session), dataset),
        "frames_in_batches": load_batches(options.dataset),
    }
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
