"""What a robot and its task are to the rest of daydreamer; whoever adds one implements this.

    signals     what is sensed, by name: `Signal`, `Measurement`
    limits      what must never be exceeded, by the kind of what is commanded
    embodiment  one robot: its signals, its setpoints, its limits, its guard
    task        what is observed and paid, and what an action means: `Task`

A session is a robot doing a task in a body, which is a driver over ROS 2 or a MuJoCo twin. All that the learner ever
sees is the `RobotSpec` (`daydreamer.spec`) and the logged steps.
"""
