import pytest

from daydreamer.robots.a1.constants import A1
from daydreamer.robots.go2.constants import GO2


@pytest.fixture(params=(A1, GO2), ids=lambda robot: robot.name)
def robot(request):
    return request.param
