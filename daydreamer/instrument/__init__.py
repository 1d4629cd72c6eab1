"""What a learned world model is good for beside training its policy: questions are put to it instead of the robot."""
