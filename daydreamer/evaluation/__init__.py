"""How good a frozen policy is: on the robot as published, and on robots drawn at random, in simulated time."""
