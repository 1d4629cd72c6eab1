# Sourced by the executables beside this file, which ros2 run and ros2 launch start: becomes Python running $module.
prefix=$(cd "$(dirname "$0")/../.." && pwd)

# A venv holds its interpreter. The prefix of a colcon workspace does not: there, as with every ROS package, the
# Python on PATH with the workspace's PYTHONPATH is the one.
python=$prefix/bin/python3
[ -x "$python" ] || python=python3

# Inherited from another environment's Python it would keep ROS wheels from setting up their library path in this one.
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE

# -P: a file in the current folder must not shadow a module.
exec "$python" -P -m "$module" "$@"
